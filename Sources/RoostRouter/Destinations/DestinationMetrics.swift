/// What a route tells about its path beside the path MTU.
///
/// Entries share equal sets; 0 is "not set".
public struct DestinationMetrics: BitwiseCopyable, Hashable, Sendable {
    /// Bit n set: the n-th metric here is not to be learned over.
    public var locks: UInt32 = 0
    /// The route's own MTU in bytes, from which a learned path MTU starts and to which it returns.
    public var mtu: UInt32 = 0
    /// The largest window to advertise, in bytes.
    public var window: UInt32 = 0
    /// The round-trip time, in milliseconds.
    public var roundTripTime: UInt32 = 0
    /// The round-trip time's variance, in milliseconds.
    public var roundTripVariance: UInt32 = 0
    /// The slow start threshold, in segments.
    public var slowStartThreshold: UInt32 = 0
    /// The congestion window's clamp, in segments.
    public var congestionWindow: UInt32 = 0
    /// The maximum segment size to advertise, in bytes.
    public var advertisedMSS: UInt32 = 0
    /// How much reordering to expect, in segments.
    public var reordering: UInt32 = 0
    /// The hop limit of packets that start here.
    public var hopLimit: UInt32 = 0
    /// The initial congestion window, in segments.
    public var initialCongestionWindow: UInt32 = 0
    /// Features of the path, as bits.
    public var features: UInt32 = 0

    /// Nothing set.
    public init() {}
}
