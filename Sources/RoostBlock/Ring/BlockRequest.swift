/// What a request asks for (`BLKIF_OP_*` of `io/blkif.h`; 4 is reserved).
enum BlockOperation: UInt8, Sendable {
    case read = 0
    case write = 1
    case writeBarrier = 2
    case flush = 3
    case discard = 5
    case indirect = 6
}

/// A request as it is on the ring, nothing of it checked.
///
/// Fields that an operation does not have are zero. Counts are what the request says: a backend
/// checks them before it believes that so many segments are there.
struct BlockRequest: Sendable {
    /// The most segments that lie in the request itself (`BLKIF_MAX_SEGMENTS_PER_REQUEST`).
    static let directSegmentLimit = 11
    /// The most pages of segments (`BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST`).
    static let indirectPageLimit = 8

    /// The operation's code, which may be one that does not exist.
    var code: UInt8
    /// For an indirect request the code of what is to be done, else zero.
    var innerCode: UInt8 = 0
    /// The number of the device, which means nothing: the ring says which it is.
    var handle: UInt16 = 0
    /// What the frontend knows its request by.
    var id: UInt64
    /// The first sector, in units of 512 bytes.
    var sector: UInt64 = 0
    /// How many segments it claims to have.
    var segmentCount: Int = 0
    /// The segments of a direct request.
    var segments = [11 of BlockSegment](repeating: .none)
    /// The grants of an indirect request's pages of segments.
    var indirectGrants = [8 of UInt32](repeating: 0)
    /// How many sectors of 512 bytes are to be discarded.
    var discardSectorCount: UInt64 = 0
    /// Whether what is discarded must not be readable afterwards (`BLKIF_DISCARD_SECURE`).
    var isSecure = false

    /// Begins a request.
    ///
    /// - Parameters:
    ///   - operation: What is to be done.
    ///   - id: What its response is known by.
    ///   - sector: The first sector, in units of 512 bytes.
    init(_ operation: BlockOperation, id: UInt64, sector: UInt64 = 0) {
        code = operation.rawValue
        self.id = id
        self.sector = sector
    }

    /// What is to be done, or `nil` if there is no such operation.
    var operation: BlockOperation? { BlockOperation(rawValue: code) }

    /// The code that the response carries: for an indirect request the inner one.
    var answeredCode: UInt8 {
        code == BlockOperation.indirect.rawValue ? innerCode : code
    }

    /// How many pages of segments an indirect request of so many segments has.
    static func indirectPageCount(segments: Int) -> Int {
        (segments &+ 511) / 512
    }
}
