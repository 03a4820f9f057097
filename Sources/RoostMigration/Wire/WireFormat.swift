internal import RoostMemory

/// Roost's wire: what travels between the two relays of a move.
///
/// A connection carries frames both ways, all integers most significant byte first:
///
///     u8 type │ be24 check │ be32 payload length │ be64 sequence │ be32 CRC-32 │ payload
///
/// The check is the low half of the CRC-32 of type, length and sequence, so that no wrong length is
/// waited for. The CRC-32 covers the head, with itself as zero, and the payload; the sequence counts
/// the frames of one direction from 0. The first frame of either side is HELLO, the second of the sending
/// side OPEN: it begins a session, or comes back to one whose connection broke. To a session that
/// begins the receiving side makes ready what it writes to, and says so (READY) before a byte of the
/// guest is sent; to one that goes on it says how that stands: PREPARED, STARTED, FAILED or UNKNOWN.
///
/// Frames of the stream come in its order: BEGIN; CONFIGURATION; SECTION, its contents and
/// END OF SECTION, or COMMAND, any number of times; then OPAQUE for what follows the memory. A
/// section of memory holds BLOCKS once, PAGES and END OF RECORDS, any other OPAQUE.
///
/// What the receiving side has applied and handed on it acknowledges (ACK), and no more than
/// ``window`` bytes are sent that were not: so it can always read all that comes, and no side's
/// system ever has to refuse bytes. Whoever says nothing else says BEAT, several times in the time
/// after which a silent connection counts as lost.
///
/// The end is that of ``Ownership``: END, again where more of the stream came; PREPARED; COMMIT;
/// STARTED. Where the digests in END differ, DIGESTS tells those of the receiving side. Either side
/// ends a move that cannot go on by FAILED, with a sentence, and then reads on to the other's end of
/// input, so that this is not lost: from the sending side it says that the guest stays, from the
/// receiving side that it was not and will not be started.
enum WireFormat {
    /// The version of all this, in HELLO.
    static let version: UInt16 = 2
    /// The first bytes of HELLO's payload.
    static let greeting = "ROOSTMIG"
    /// What guards a frame's head by itself, 24 bits.
    static func check(_ kind: UInt8, length: UInt32, sequence: UInt64) -> UInt32 {
        let words: [2 of UInt64] = [UInt64(kind) << 32 | UInt64(length), sequence]
        let bytes: [2 of UInt64] = [words[0].bigEndian, words[1].bigEndian]
        return crc32(unsafe bytes.span.bytes) & 0xff_ffff
    }

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
    /// The most frames taken between two acknowledgements.
    static let acknowledgeEvery: UInt64 = 8
    /// The most bytes under way towards the receiving side that it has not acknowledged.
    static let window = 8 << 20
    /// The length of OPEN's payload in bytes.
    static let openByteCount = 1 + 2 * MoveSession.byteCount
    /// What both ends hold a digest of, in bytes of a block.
    static let digestRangeByteCount = 2 << 20

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
        /// be64 length, 16 bytes: the stream is whole at that length, and the digest of its memory.
        case end = 12
        /// be64 sequence, be64 count: every frame up to it, so many bytes, was applied and handed on.
        case acknowledge = 13
        /// Bytes of QEMU's return path, from the destination to the source.
        case answer = 14
        /// A sentence in UTF-8.
        case failed = 16
        /// u8 purpose (``Purpose``), session, token.
        case open = 17
        /// Nothing: this side is there.
        case beat = 18
        /// be64 length: all of the stream but its mark is loaded.
        case prepared = 19
        /// be64 length: the mark may be handed on.
        case commit = 20
        /// Nothing: the destination has the guest.
        case started = 21
        /// Nothing: it is not known whether the destination has the guest.
        case unknown = 22
        /// Digests of the receiving side's memory.
        case digests = 23

        /// The lengths a payload of this kind can have.
        var byteCounts: ClosedRange<Int> {
            switch self {
            case .hello: greetingByteCount...greetingByteCount
            case .ready, .endOfRecords, .beat, .started, .unknown: 0...0
            case .end: 24...24
            case .open: openByteCount...openByteCount
            case .prepared, .commit: 8...8
            case .begin: 4...4
            case .section: 14...13 + 255
            case .endOfSection: 5...5
            case .command: 2...2 + 65_535
            case .acknowledge: 16...16
            case .answer: 1...answerLimit
            case .failed: 0...messageLimit
            case .configuration, .blocks, .pages, .opaque, .digests: 0...payloadLimit
            }
        }
    }

    /// What a connection is for.
    enum Purpose: UInt8 {
        /// A move begins.
        case begin = 1
        /// A relay comes back to the receiver of its move.
        case comeBack = 2
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
