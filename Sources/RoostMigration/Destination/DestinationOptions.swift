/// How a ``MigrationDestination`` loads a stream.
public struct DestinationOptions: Sendable, Equatable {
    /// The most memory, in bytes, that a stream may announce.
    public var maximumRAMByteCount: UInt64
    /// How many threads decode compressed pages, 0 to 255; with 0 the loading thread does.
    public var decompressionThreads: Int
    /// Whose rules hold where QEMU's versions differ: 2015 lets a page that cannot be decoded
    /// pass until it is sent again.
    public var dialect: MigrationDialect
    /// Whether a page filled with another byte than zero is refused, as QEMU does from 8.0 on.
    public var refusesFilledPages: Bool
    /// Whether a stream without digests of its blocks is refused.
    public var requiresDigests: Bool

    /// Makes options.
    ///
    /// - Parameters:
    ///   - maximumRAMByteCount: The most memory, in bytes, that a stream may announce.
    ///   - decompressionThreads: How many threads decode compressed pages, 0 to 255.
    ///   - dialect: Whose rules hold where QEMU's versions differ.
    ///   - refusesFilledPages: Whether a page filled with another byte than zero is refused.
    ///   - requiresDigests: Whether a stream without digests of its blocks is refused.
    public init(
        maximumRAMByteCount: UInt64, decompressionThreads: Int = 2,
        dialect: MigrationDialect = .standard, refusesFilledPages: Bool = false,
        requiresDigests: Bool = false
    ) {
        self.maximumRAMByteCount = maximumRAMByteCount
        self.decompressionThreads = decompressionThreads
        self.dialect = dialect
        self.refusesFilledPages = refusesFilledPages
        self.requiresDigests = requiresDigests
    }
}

/// What a ``MigrationDestination`` has loaded.
public struct DestinationStatistics: Sendable, Equatable, Codable {
    /// How many bytes of the stream were read.
    public var streamBytes: UInt64 = 0
    /// The memory that the stream lists, in bytes.
    public var memoryBytes: UInt64 = 0
    /// Records of pages of one byte.
    public var zeroPages: UInt64 = 0
    /// Records of whole pages.
    public var plainPages: UInt64 = 0
    /// Records of XBZRLE deltas.
    public var deltaPages: UInt64 = 0
    /// Records of compressed pages.
    public var compressedPages: UInt64 = 0
    /// Whether digests of the blocks came and were equal to what was loaded.
    public var isVerified = false

    /// Nothing loaded yet.
    public init() {}

    /// Records of pages of every kind.
    var pages: UInt64 { zeroPages &+ plainPages &+ deltaPages &+ compressedPages }

    mutating func count(_ kind: PageKind) {
        switch kind {
        case .zero: zeroPages &+= 1
        case .plain: plainPages &+= 1
        case .delta: deltaPages &+= 1
        case .compressed: compressedPages &+= 1
        }
    }
}
