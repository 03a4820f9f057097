internal import RoostHypervisor

/// How a request has ended (`BLKIF_RSP_*` of `io/blkif.h`).
enum BlockStatus: Int16, Sendable {
    case okay = 0
    case error = -1
    /// The device never does this: the frontend need not ask again.
    case unsupported = -2
}

/// A response as it is on the ring (`struct blkif_response` of `io/blkif.h`).
///
///     offset 0  identifier, 8 bytes     8  operation     10  status, 2 bytes     12  padding
///
/// The last four bytes exist in the 64-bit layout only. Padding is written as zeros: what lay there
/// before is no business of the peer.
struct BlockResponse: Equatable, Sendable {
    /// What the request was known by.
    var id: UInt64
    /// The code of the operation; for an indirect request the inner one.
    var code: UInt8
    /// How it has ended, which may be a status that does not exist.
    var statusCode: Int16

    /// Answers a request.
    init(id: UInt64, code: UInt8, _ status: BlockStatus) {
        self.id = id
        self.code = code
        statusCode = status.rawValue
    }

    /// Reads a response from a private copy of its slot's begin.
    init(_ words: [4 of UInt32]) {
        id = UInt64(words[0]) | UInt64(words[1]) << 32
        code = UInt8(truncatingIfNeeded: words[2])
        statusCode = Int16(truncatingIfNeeded: words[2] >> 16)
    }

    /// How it has ended, or `nil` if there is no such status.
    var status: BlockStatus? { BlockStatus(rawValue: statusCode) }

    /// The response as it lies at the begin of a slot.
    var encoded: [4 of UInt32] {
        [
            UInt32(truncatingIfNeeded: id), UInt32(truncatingIfNeeded: id >> 32),
            UInt32(code) | UInt32(UInt16(bitPattern: statusCode)) << 16, 0,
        ]
    }

    /// How long a response is.
    static func byteCount(_ blockProtocol: BlockProtocol) -> Int {
        blockProtocol == .x86_64 ? 16 : 12
    }
}
