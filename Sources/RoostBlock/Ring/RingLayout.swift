public import RoostHypervisor
internal import RoostMemory

/// Where things lie in a ring of one to sixteen pages (`io/ring.h`, `io/blkif.h`).
///
///     offset  0  request producer      written by the frontend
///             4  request event         written by the backend
///             8  response producer     written by the backend
///            12  response event        written by the frontend
///            16  48 bytes of zeros
///            64  slots, each for a request and, later, for a response
///
/// The four indices run free through all 32 bits; index `i` names slot `i` modulo the slots.
public struct RingLayout: Equatable, Sendable {
    /// The largest ring has 2 to this power pages, as Linux's has.
    public static let maximumPageOrder = 4
    /// What lies before the slots.
    static let headerByteCount = 64

    /// How requests are laid out.
    public let blockProtocol: BlockProtocol
    /// The pages are 2 to this power.
    public let pageOrder: Int
    /// How many slots there are, a power of two.
    public let slotCount: Int
    /// How long a slot is.
    let slotByteCount: Int

    /// Computes a layout, or `nil` unless the order is from 0 to ``maximumPageOrder``.
    ///
    /// - Parameters:
    ///   - blockProtocol: How requests are laid out.
    ///   - pageOrder: The ring has 2 to this power pages.
    public init?(_ blockProtocol: BlockProtocol, pageOrder: Int) {
        guard 0...Self.maximumPageOrder ~= pageOrder else { return nil }
        self.blockProtocol = blockProtocol
        self.pageOrder = pageOrder
        slotByteCount = blockProtocol == .x86_64 ? 112 : 108
        let fitting = (pageByteCount << pageOrder - Self.headerByteCount) / slotByteCount
        slotCount = 1 << (Int.bitWidth - 1 - fitting.leadingZeroBitCount)
    }

    /// How many pages the ring has.
    public var pageCount: Int { 1 << pageOrder }

    /// Where the slot of an index begins, in bytes from the ring's begin.
    func slotOffset(_ index: UInt32) -> Int {
        Self.headerByteCount &+ (Int(index) & (slotCount &- 1)) &* slotByteCount
    }
}
