/// Roost's wire: what travels between the two relays of a move.
///
/// A connection carries frames both ways, all integers most significant byte first:
///
///     u8 type │ 3 zero │ be32 payload length │ be64 sequence │ be32 CRC-32 │ payload
///
/// The checksum covers the head, with itself as zero, and the payload; the sequence counts the
/// frames of one direction from 0. The first frame of either side is HELLO. The receiving side
/// then makes ready what it writes to, and says so (READY) before a byte of the guest is sent.
/// What it has applied and handed on it acknowledges by sequence (ACK). The sending side says END
/// behind the last byte of a stream that is whole; COMPLETE answers it when whoever the stream
/// went to has taken all of it. Either side ends a move that cannot go on by FAILED, with a
/// sentence, and then reads on to the other's end of input, so that this is not lost.
///
/// Frames of the stream come in its order: BEGIN; CONFIGURATION; SECTION, its contents and
/// END OF SECTION, or COMMAND, any number of times; then OPAQUE for what follows the memory. A
/// section of memory holds BLOCKS once, PAGES and END OF RECORDS, any other OPAQUE.
enum WireFormat {
    /// The version of all this, in HELLO.
    static let version: UInt16 = 1
    /// The first bytes of HELLO's payload.
    static let greeting = "ROOSTMIG"
    /// The length of a frame's head in bytes.
    static let headByteCount = 20
    /// The longest payload; the sender cuts what is longer.
    static let payloadLimit = 1 << 20
    /// The length of HELLO's payload in bytes.
    static let greetingByteCount = 10
    /// The longest piece of answers.
    static let answerLimit = 64 << 10
    /// The longest sentence in FAILED.
    static let messageLimit = 4096
    /// The most frames sent between two acknowledgements.
    static let acknowledgeEvery: UInt64 = 8

    /// What a frame carries.
    enum Kind: UInt8 {
        /// `ROOSTMIG`, be16 version.
        case hello = 1
        /// Nothing: the receiving side's output is open.
        case ready = 2
        /// be32 stream version.
        case begin = 3
        /// CONFIGURATION as the stream has it, without its item byte.
        case configuration = 4
        /// u8 kind, be32 id, be32 instance, be32 version, the name.
        case section = 5
        /// u8 flags, be16 count, then for each block u8 length, name, be64 used length,
        /// be64 page size or 0, be64 address or 0. Flag bit 0: addresses are told.
        case blocks = 6
        /// Records of pages, see ``PageCode``.
        case pages = 7
        /// Bytes that pass as they are.
        case opaque = 8
        /// Nothing: the records of a section of memory end.
        case endOfRecords = 9
        /// be32 id, u8 1 with a footer, 0 without.
        case endOfSection = 10
        /// be16 command, payload.
        case command = 11
        /// Nothing: the stream is whole.
        case end = 12
        /// be64 sequence: every frame up to it was applied and handed on.
        case acknowledge = 13
        /// Bytes of QEMU's return path, from the destination to the source.
        case answer = 14
        /// Nothing: the destination took the whole stream.
        case complete = 15
        /// A sentence in UTF-8.
        case failed = 16

        /// The lengths a payload of this kind can have.
        var byteCounts: ClosedRange<Int> {
            switch self {
            case .hello: greetingByteCount...greetingByteCount
            case .ready, .endOfRecords, .end, .complete: 0...0
            case .begin: 4...4
            case .section: 14...13 + 255
            case .endOfSection: 5...5
            case .command: 2...2 + 65_535
            case .acknowledge: 8...8
            case .answer: 1...answerLimit
            case .failed: 0...messageLimit
            case .configuration, .blocks, .pages, .opaque: 0...payloadLimit
            }
        }
    }

    /// How a page travels: the low bits of a record's first word, whose rest is the offset.
    ///
    ///     be64 offset | code │ be16 block │ be16 count │ body
    enum PageCode: UInt64 {
        /// `count` zero pages from the offset on; no body.
        case zeroRun = 0
        /// 4,096 bytes.
        case plain = 1
        /// An XBZRLE delta of `count` bytes against what both sides hold.
        case delta = 2
        /// A zlib stream of `count` bytes.
        case compressed = 3
        /// A page of one byte, the low byte of `count`; no body.
        case fill = 4
    }

    /// The length of a page record's head in bytes.
    static let recordHeadByteCount = 12
}
