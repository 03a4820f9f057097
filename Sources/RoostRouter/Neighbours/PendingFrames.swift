internal import RoostMemory

/// Packets that wait for their neighbour: copies in slots of one size, chained by neighbour.
///
/// Memory is reserved for the limit and taken where a packet was kept.
struct PendingFrames: ~Copyable {
    /// What is known of a slot; a free one names the next free one.
    struct Slot: BitwiseCopyable, Sendable {
        var context: UInt64
        var byteCount: UInt32
        var next: UInt32
    }

    /// The most packets.
    let limit: Int
    /// The longest packet in bytes.
    let frameByteCount: Int
    /// How many wait.
    private(set) var count = 0
    private var bytes: FixedArray<UInt8>
    private var slots: FixedArray<Slot>
    /// The first slot of those given back; slot 0 is none.
    private var free: UInt32 = 0
    /// How many slots were ever used.
    private var touched = 0

    /// Makes room for packets.
    ///
    /// - Throws: `RouterError` of kind `memory`.
    init(limit: Int, frameByteCount: Int) throws(RouterError) {
        precondition(limit > 0 && frameByteCount > 0)
        self.limit = limit
        self.frameByteCount = frameByteCount
        do {
            let bytes = try FixedArray<UInt8>(count: (limit + 1) * frameByteCount)
            let slots = try FixedArray<Slot>(count: limit + 1)
            self.bytes = bytes
            self.slots = slots
        } catch {
            throw RouterError(error, for: "\(limit) packets that wait for neighbours")
        }
    }

    /// Keeps a copy of a packet.
    ///
    /// - Returns: Its slot, or nil when there is no room.
    /// - Precondition: The packet is not longer than ``frameByteCount``.
    mutating func keep(_ frame: RawSpan, context: UInt64) -> UInt32? {
        precondition(frame.byteCount <= frameByteCount)
        let slot: UInt32
        if free != 0 {
            slot = free
            free = slots[Int(slot)].next
        } else if touched < limit {
            touched += 1
            slot = UInt32(touched)
        } else {
            return nil
        }
        var room = bytes.mutableSpan(from: Int(slot) * frameByteCount, count: frame.byteCount)
        // SAFETY: any bytes are bytes.
        var target = unsafe room.mutableBytes
        target.replaceAll(with: frame)
        slots[Int(slot)] = Slot(
            context: context, byteCount: UInt32(frame.byteCount), next: 0)
        count += 1
        return slot
    }

    /// Hands a kept packet and its context to a closure.
    func with<Result>(_ slot: UInt32, _ body: (RawSpan, UInt64) -> Result) -> Result {
        let kept = slots[Int(slot)]
        let span = bytes.span(
            from: Int(slot) * frameByteCount, count: Int(kept.byteCount))
        // SAFETY: bytes have no padding.
        return body(unsafe span.bytes, kept.context)
    }

    /// The context of a kept packet.
    func context(of slot: UInt32) -> UInt64 { slots[Int(slot)].context }

    /// The packet that waits behind another; 0 is none.
    func next(after slot: UInt32) -> UInt32 { slots[Int(slot)].next }

    /// Puts a packet behind another.
    mutating func chain(_ slot: UInt32, after last: UInt32) { slots[Int(last)].next = slot }

    /// Lets a packet go.
    mutating func release(_ slot: UInt32) {
        slots[Int(slot)].next = free
        free = slot
        count -= 1
    }
}
