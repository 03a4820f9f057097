/// The counts of one namespace's entries, kept apart from every other's.
public struct DestinationAccount: BitwiseCopyable, Equatable, Sendable {
    /// Entries made.
    public internal(set) var created: UInt64 = 0
    /// Entries destroyed; those that outlive their namespace are no longer its own.
    public internal(set) var destroyed: UInt64 = 0
    /// Entries there are.
    public internal(set) var entries = 0
    /// Of these, retired and not destroyed yet.
    public internal(set) var retired = 0
    /// Collections on behalf of allocation (`gc_total`).
    public internal(set) var collections: UInt64 = 0
    /// Those that came too soon after the last one, with room left (`gc_ignored`).
    public internal(set) var ignoredCollections: UInt64 = 0
    /// Those that did not reach the threshold (`gc_goal_miss`).
    public internal(set) var missedGoals: UInt64 = 0
    /// Allocations refused (`gc_dst_overflow`).
    public internal(set) var overflows: UInt64 = 0

    /// Nothing yet.
    public init() {}

    /// The counts under the names that operators of destination caches know.
    public var namedValues: [(name: String, value: UInt64)] {
        [
            ("entries", UInt64(entries)), ("gc_total", collections),
            ("gc_ignored", ignoredCollections), ("gc_goal_miss", missedGoals),
            ("gc_dst_overflow", overflows),
        ]
    }
}
