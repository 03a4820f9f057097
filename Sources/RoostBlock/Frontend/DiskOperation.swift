/// What a caller asks of a disk.
public enum DiskOperation: UInt8, Sendable, CaseIterable {
    case read
    case write
    /// Makes durable what was complete before.
    case flush
    /// Writes after all that was issued before is on the medium; what is issued later waits.
    case barrier
    /// Gives sectors up: what they read as from then on is the disk's choice.
    case discard
    /// Gives sectors up so that nobody can find what they held.
    case secureDiscard

    /// Whether the caller's bytes go to the disk.
    var isWrite: Bool { self == .write || self == .barrier }

    /// Whether the request brings or takes bytes.
    var hasData: Bool { self == .read || isWrite }
}

/// How a request ended.
public enum DiskStatus: UInt8, Sendable, BitwiseCopyable {
    case done
    /// The backend could not do it (blkif.h: `BLKIF_RSP_ERROR`).
    case failed
    /// The backend does not do such requests (blkif.h: `BLKIF_RSP_EOPNOTSUPP`).
    case unsupported
}

/// A caller's request that has ended.
public struct DiskCompletion: Sendable, Hashable, BitwiseCopyable {
    /// What the caller gave to know it by.
    public let token: UInt64
    /// How it ended.
    public let status: DiskStatus
}
