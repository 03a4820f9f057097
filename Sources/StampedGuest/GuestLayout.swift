internal import RoostMemory

/// How a stamped guest's RAM is laid out, and what every page must hold after any step.
///
/// Page 0 is the header, words of 64 bits in this machine's byte order:
///
///      0 magic    8 version     16 pages        24 hot pages    32 stride    40 bytes a write
///     48 content 56 seed        64 writes/s     72 step         80 last step's time (ns)
///     88 pauses, all together (ns)              96 longest pause (ns)       104 lost
///    112 repeated             120 damaged
///
/// Every other page carries a stamp, big-endian, and filler:
///
///      0 number   8 generation  16 step that wrote it, or ~0   24 checksum   32 filler …
///
/// Step `n` writes the hot page `(n * stride) % hot`, so in `hot` steps each is written once. The
/// stride has no divisor in common with `hot`; so the generation of each page after `n` steps can
/// be told: it was written `n / hot` times, and once more if its turn came in this round already.
/// All of a page follows from its number, its generation and the parameters.
struct GuestLayout: Equatable, Sendable {
    static let magic: UInt64 = 0x524F_4F53_5447_5354  // "ROOSTGST"
    static let version: UInt64 = 1

    /// Offsets of the header's words.
    enum Word {
        static let magic = 0
        static let version = 8
        static let pageCount = 16
        static let hotCount = 24
        static let stride = 32
        static let bytesPerWrite = 40
        static let content = 48
        static let seed = 56
        static let writesPerSecond = 64
        static let step = 72
        static let lastTime = 80
        static let pauses = 88
        static let longestPause = 96
        static let lost = 104
        static let repeated = 112
        static let damaged = 120
    }

    /// Pages that carry stamps.
    let pageCount: Int
    /// How many of them, from the first on, are written again and again.
    let hotCount: Int
    let stride: Int
    let bytesPerWrite: Int
    let content: GuestContent
    let seed: UInt64
    let writesPerSecond: Int
    /// The number whose product with the stride leaves 1 modulo the hot pages.
    private let inverse: Int

    init?(
        pageCount: Int, hotCount: Int, stride: Int, bytesPerWrite: Int, content: GuestContent,
        seed: UInt64, writesPerSecond: Int
    ) {
        // Below 2^31, so that products of page numbers do not overflow.
        guard (1..<1 << 31).contains(pageCount), (1...pageCount).contains(hotCount),
            (1...hotCount).contains(stride), (0...pageByteCount).contains(bytesPerWrite),
            writesPerSecond >= 0,
            let inverse = Self.inverse(of: stride, modulo: hotCount)
        else { return nil }
        self.pageCount = pageCount
        self.hotCount = hotCount
        self.stride = stride
        self.bytesPerWrite = bytesPerWrite
        self.content = content
        self.seed = seed
        self.writesPerSecond = writesPerSecond
        self.inverse = inverse
    }

    /// A stride near the golden section of the hot pages, so that writes jump far.
    static func stride(hotCount: Int) -> Int {
        var stride = max(1, Int(Double(hotCount) * 0.618))
        while inverse(of: stride, modulo: hotCount) == nil { stride -= 1 }
        return stride
    }

    private static func inverse(of stride: Int, modulo count: Int) -> Int? {
        // The extended algorithm of Euclid.
        var (old, new) = (stride, count)
        var (oldFactor, newFactor) = (1, 0)
        while new != 0 {
            let quotient = old / new
            (old, new) = (new, old - quotient * new)
            (oldFactor, newFactor) = (newFactor, oldFactor - quotient * newFactor)
        }
        guard old == 1 else { return nil }
        return (oldFactor % count + count) % count
    }

    /// The page that a step writes, counted from the first stamped one.
    func page(ofStep step: UInt64) -> Int {
        Int(step % UInt64(hotCount)) * stride % hotCount
    }

    /// The generation that a step gives its page.
    func generation(ofStep step: UInt64) -> UInt64 { step / UInt64(hotCount) + 1 }

    /// The generation of a page when a number of steps is complete.
    func generation(ofPage page: Int, afterSteps steps: UInt64) -> UInt64 {
        guard page < hotCount else { return 0 }
        let turn = page * inverse % hotCount
        return steps / UInt64(hotCount) + (UInt64(turn) < steps % UInt64(hotCount) ? 1 : 0)
    }

    /// The step that gave a page its generation; `~0` for what it held from the start.
    func step(ofPage page: Int, generation: UInt64) -> UInt64 {
        guard generation > 0, page < hotCount else { return ~0 }
        return (generation - 1) * UInt64(hotCount) + UInt64(page * inverse % hotCount)
    }

    /// Writes the parameters into a header.
    func store(in memory: MemorySpace) {
        memory.storeWord(Self.version, at: Word.version)
        memory.storeWord(UInt64(pageCount), at: Word.pageCount)
        memory.storeWord(UInt64(hotCount), at: Word.hotCount)
        memory.storeWord(UInt64(stride), at: Word.stride)
        memory.storeWord(UInt64(bytesPerWrite), at: Word.bytesPerWrite)
        memory.storeWord(content.rawWord, at: Word.content)
        memory.storeWord(seed, at: Word.seed)
        memory.storeWord(UInt64(writesPerSecond), at: Word.writesPerSecond)
        memory.storeWord(Self.magic, at: Word.magic)
    }

    /// Reads the parameters of a header that has arrived; `nil` when it is none.
    init?(of memory: MemorySpace) {
        func number(_ word: Int) -> Int { Int(clamping: memory.loadWord(at: word)) }
        guard memory.loadWord(at: Word.magic) == Self.magic,
            memory.loadWord(at: Word.version) == Self.version,
            number(Word.pageCount) == memory.byteCount / pageByteCount - 1,
            let content = GuestContent(rawWord: memory.loadWord(at: Word.content))
        else { return nil }
        self.init(
            pageCount: number(Word.pageCount), hotCount: number(Word.hotCount),
            stride: number(Word.stride), bytesPerWrite: number(Word.bytesPerWrite),
            content: content, seed: memory.loadWord(at: Word.seed),
            writesPerSecond: number(Word.writesPerSecond))
    }
}
