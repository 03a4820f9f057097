/// A counted reference: the entry lives until it is given back to ``DestinationSlab/release(_:)``.
///
/// One that is lost keeps its entry for ever, and the list of holders tells whose it was.
public struct DestinationReference: ~Copyable, Sendable {
    /// The entry.
    public let handle: DestinationHandle
    /// The place of its record among the holders.
    internal let record: UInt32

    /// The reference as a plain number, for a table of plain values; it still has to be given back
    /// once, through ``DestinationSlab/reference(of:)``.
    public consuming func token() -> HolderToken {
        HolderToken(rawValue: record)
    }
}

/// A counted reference kept as a number; its keeper owes one release.
public struct HolderToken: BitwiseCopyable, Equatable, Sendable {
    /// The place of its record among the holders; 0 is no reference.
    public let rawValue: UInt32

    /// A reference by the place of its record.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }
}
