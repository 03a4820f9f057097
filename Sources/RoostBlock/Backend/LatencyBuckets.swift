/// The ranges of time by which a queue counts its requests: log-linear, so that a range is at most
/// 1/32 of the times in it wide, and counting needs a shift, an addition and no memory.
///
///     range           times                                width
///     0 to 31         0 to 511 ns                          16 ns
///     32 to 63        512 ns to 1,023 ns                   16 ns
///     64 to 95        1,024 ns to 2,047 ns                 32 ns
///     …
///     992 to 1,023    2³⁹ ns to 2⁴⁰ - 1 ns (18 minutes)    2³⁴ ns
public enum LatencyBuckets {
    /// How many ranges there are; the last has all above, too.
    public static let count = 1024
    /// Each doubling of the time has 2 to this power of ranges.
    private static let partsOrder = 5
    /// The first doubling begins at 2 to this power of nanoseconds.
    private static let firstOrder = 9

    /// The shortest time that belongs to a range.
    ///
    /// - Parameter bucket: The range's number, from 0 to ``count``, which is where the last one ends.
    /// - Returns: The time in nanoseconds.
    public static func lowest(of bucket: Int) -> UInt64 {
        let parts = 1 << partsOrder
        guard bucket >= parts else {
            return UInt64(max(bucket, 0)) << UInt64(firstOrder - partsOrder)
        }
        let place = min(bucket, count) - parts
        let order = UInt64(firstOrder + place / parts)
        return 1 << order + UInt64(place % parts) << (order - UInt64(partsOrder))
    }

    /// The range that a time belongs to.
    @inline(__always)  // Once a request.
    static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >> UInt64(firstOrder) > 0 else {
            return Int(truncatingIfNeeded: nanoseconds >> UInt64(firstOrder &- partsOrder))
        }
        let order = 63 &- nanoseconds.leadingZeroBitCount
        let part = Int(truncatingIfNeeded: nanoseconds >> UInt64(order &- partsOrder)) & 31
        return min((order &- firstOrder &+ 1) << partsOrder &+ part, count &- 1)
    }
}
