/// What a relay or a receiver has moved so far.
public struct RelayStatistics: Sendable, Equatable, Encodable {
    /// Bytes of QEMU's stream, in at a relay, out at a receiver.
    public internal(set) var streamBytes: UInt64 = 0
    /// Bytes on Roost's wire in the direction of the destination.
    public internal(set) var wireBytes: UInt64 = 0
    /// Pages that travelled as zero.
    public internal(set) var zeroPages: UInt64 = 0
    /// Pages that travelled whole.
    public internal(set) var plainPages: UInt64 = 0
    /// Pages that travelled as XBZRLE deltas.
    public internal(set) var deltaPages: UInt64 = 0
    /// Pages that travelled as zlib streams.
    public internal(set) var compressedPages: UInt64 = 0
    /// Pages that the source sent and that the other side held already, so that nothing went.
    public internal(set) var unchangedPages: UInt64 = 0
    /// The guest's memory in bytes, 0 until the stream has listed it.
    public internal(set) var memoryBytes: UInt64 = 0
    /// Frames the other side has applied and handed on; counted by a relay.
    public internal(set) var acknowledgedFrames: UInt64 = 0
    /// Whether the stream is past its memory: the guest stands still from about here on.
    public internal(set) var isPastMemory = false

    /// Pages of every kind that the source sent.
    public var pages: UInt64 {
        zeroPages + plainPages + deltaPages + compressedPages + unchangedPages
    }

    mutating func count(_ kind: PageKind, _ pages: UInt64 = 1) {
        switch kind {
        case .zero: zeroPages += pages
        case .plain: plainPages += pages
        case .delta: deltaPages += pages
        case .compressed: compressedPages += pages
        }
    }
}

/// The limits of a move through Roost.
public struct RelayOptions: Sendable {
    /// The most memory, in bytes, that a stream may announce.
    public var maximumRAMByteCount: UInt64
    /// The most memory, in bytes, that this end may hold for the move; `nil` for what this machine
    /// has available when the stream lists the guest's memory.
    public var memoryLimit: UInt64?
    /// A folder for the guest's memory as it was at switch-over, one file a block.
    public var dumpFolder: String?
    /// How long the other end may be silent before the connection counts as lost, a second or more.
    public var linkTimeout = Duration.seconds(10)
    /// How long a side that has ended still talks to the other one.
    var grace = Duration.seconds(5)

    /// Makes options.
    ///
    /// - Parameters:
    ///   - maximumRAMByteCount: The most memory, in bytes, that a stream may announce.
    ///   - dumpFolder: Where to write the memory at the end, or `nil` not to.
    public init(maximumRAMByteCount: UInt64, dumpFolder: String? = nil) {
        self.maximumRAMByteCount = maximumRAMByteCount
        self.dumpFolder = dumpFolder
    }

    var admission: MemoryAdmission {
        MemoryAdmission(maximumRAMByteCount: maximumRAMByteCount, memoryLimit: memoryLimit)
    }
}
