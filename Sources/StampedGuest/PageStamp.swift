internal import RoostMemory

/// What a stamped page says about itself.
struct PageStamp: Equatable, Sendable {
    static let byteCount = 32
    private static let checksumOffset = 24

    let number: UInt64
    let generation: UInt64
    let step: UInt64
    /// Whether the checksum is that of the page's bytes.
    let isWhole: Bool

    /// Reads the stamp of a page.
    init(_ page: RawSpan) {
        number = page.loadBigEndian(at: 0, as: UInt64.self)
        generation = page.loadBigEndian(at: 8, as: UInt64.self)
        step = page.loadBigEndian(at: 16, as: UInt64.self)
        isWhole =
            page.loadBigEndian(at: Self.checksumOffset, as: UInt64.self) == Self.checksum(page)
    }

    /// A sum over all of a page but the sum itself.
    private static func checksum(_ page: RawSpan) -> UInt64 {
        var sum: UInt64 = 0x5354_414D_5045_4421
        var offset = 0
        while offset < page.byteCount {
            if offset != checksumOffset {
                sum =
                    (sum ^ page.loadBigEndian(at: offset, as: UInt64.self)) &* 0x0000_0100_0000_01B3
                sum = sum << 23 | sum >> 41
            }
            offset &+= 8
        }
        return sum
    }

    /// Writes a page of a generation: its stamp, and the filler that differs from the generation
    /// before, or all of it.
    ///
    /// Doing it again gives the same bytes, whatever part of it was done before.
    static func write(
        _ layout: GuestLayout, page: Int, generation: UInt64, all: Bool,
        to target: inout MutableRawSpan
    ) {
        store(UInt64(page + 1), 0, &target)
        store(generation, 8, &target)
        store(layout.step(ofPage: page, generation: generation), 16, &target)
        let base = layout.seed ^ UInt64(page) << 24
        // The bytes of a write follow the stamp; what is behind them never changes.
        let changing = max(byteCount, min(layout.bytesPerWrite, pageByteCount)) & ~7
        var offset = byteCount
        while offset < (all ? pageByteCount : changing) {
            let turn = offset < changing ? generation : 0
            let random = mixed(base &+ turn << 44 &+ UInt64(offset))
            store(layout.content.filler(random), offset, &target)
            offset &+= 8
        }
        store(checksum(target.bytes), checksumOffset, &target)
    }

    private static func store(_ value: UInt64, _ offset: Int, _ target: inout MutableRawSpan) {
        target.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
    }
}
