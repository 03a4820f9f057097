/// How much a table of destinations may hold, and when it begins to make room.
public struct DestinationLimits: Equatable, Sendable {
    /// What one address family may have.
    public struct Family: Equatable, Sendable {
        /// How many entries make allocation collect first.
        public var threshold: Int
        /// How many entries there are at most.
        public var ceiling: Int

        /// The bounds of one family, `threshold` at most `ceiling`.
        public init(threshold: Int, ceiling: Int) {
            self.threshold = threshold
            self.ceiling = ceiling
        }
    }

    /// How many entries there are at most, of all families: the hard ceiling, 1 to 2²⁴.
    ///
    /// At about 200 bytes an entry that was ever in use, the default is 50 MiB.
    public var entryCount = 1 << 18
    /// How many counted references there are at most, 1 to 2²⁴, at 36 bytes each.
    public var holderCount = 1 << 18
    /// IPv4's bounds.
    public var ipv4 = Family(threshold: 3 << 16, ceiling: 1 << 18)
    /// IPv6's bounds.
    public var ipv6 = Family(threshold: 3 << 16, ceiling: 1 << 18)
    /// Ticks a second of every `now` that the table is told.
    public var tickRate: UInt64 = 1000
    /// The collector's place among the machine's processors, which keeps rounded delays apart.
    public var processor: UInt64 = 0
    /// How many entries a slice of collector or device event visits at most.
    ///
    /// At 0.3 to 0.5 µs an entry, most of it cache misses, 64 stay below ``sliceNanoseconds``.
    public var sliceEntryCount = 64
    /// How much thread time a slice takes, unless the last sixteen visits take longer than those before, in nanoseconds.
    public var sliceNanoseconds: UInt64 = 50_000
    /// Ticks between two collections on behalf of allocation while there is room (`gc_min_interval`).
    public var shrinkInterval: UInt64 = 500

    /// The usual bounds.
    public init() {}

    /// The largest number of entries and of holders.
    internal static let largestCount = 1 << 24

    internal subscript(family: AddressFamily) -> Family {
        switch family {
        case .ipv4: ipv4
        case .ipv6: ipv6
        }
    }
}
