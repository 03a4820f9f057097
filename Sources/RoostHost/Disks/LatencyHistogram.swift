/// How long requests took, as counts of ranges of time.
public struct LatencyHistogram: Codable, Equatable, Sendable {
    /// A range of time and how many requests took so long.
    public struct Bucket: Codable, Equatable, Sendable {
        /// The shortest time of the range, in nanoseconds.
        public var from: UInt64
        /// Where the range ends: the shortest time of the next one.
        public var to: UInt64
        /// How many requests.
        public var count: UInt64

        /// Describes a range.
        public init(from: UInt64, to: UInt64, count: UInt64) {
            self.from = from
            self.to = to
            self.count = count
        }
    }

    /// The most ranges read of a histogram; ours have 64.
    static let bucketLimit = 1024

    /// The ranges that are not empty, shortest times first.
    public let buckets: [Bucket]

    /// Takes the counts of ranges that follow each other.
    ///
    /// - Parameters:
    ///   - counts: How many requests took as long as each range says.
    ///   - lowestLatency: The shortest time of a range, in nanoseconds, by its number; asked also
    ///     for the number after the last.
    public init(counts: [UInt64] = [], lowestLatency: (Int) -> UInt64 = powerOfTwo) {
        buckets = counts.indices.prefix(Self.bucketLimit).compactMap { index in
            let from = lowestLatency(index)
            guard counts[index] > 0 else { return nil }
            return Bucket(from: from, to: max(from, lowestLatency(index + 1)), count: counts[index])
        }
    }

    private init(_ buckets: [Bucket]) {
        self.buckets = buckets
    }

    /// The shortest time of a range where range `n` holds 2ⁿ to 2ⁿ⁺¹ - 1 nanoseconds, and range 0
    /// also those below.
    ///
    /// - Parameter index: The range.
    /// - Returns: The time in nanoseconds.
    public static func powerOfTwo(_ index: Int) -> UInt64 {
        index <= 0 ? 0 : 1 << UInt64(min(index, 63))
    }

    /// How many requests there are.
    public var count: UInt64 { buckets.reduce(0) { $0.addingClamped($1.count) } }

    /// A percentile, exact to the range it falls into.
    ///
    /// - Parameter percentage: Which, from 0 to 100.
    /// - Returns: The time that so many of the requests did not exceed, in nanoseconds, taking
    ///   those of one range as spread evenly; `nil` when there are none.
    public func nanoseconds(atPercentile percentage: Double) -> UInt64? {
        let count = count
        guard count > 0 else { return nil }
        let rank = max(1, min(Double(count), Double(count) * percentage / 100))
        var before = 0.0
        for bucket in buckets {
            let here = Double(bucket.count)
            if before + here >= rank {
                let width = Double(bucket.to >= bucket.from ? bucket.to - bucket.from : 0)
                return UInt64(
                    clamping: Int64(
                        clampingFinite: Double(bucket.from) + width * (rank - before) / here))
            }
            before += here
        }
        return buckets.last?.to
    }

    /// A time as people read it, in whole units.
    package static func text(_ nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<1000: "\(nanoseconds) ns"
        case ..<1_000_000: "\(nanoseconds / 1000) µs"
        case ..<1_000_000_000: "\(nanoseconds / 1_000_000) ms"
        default: "\(nanoseconds / 1_000_000_000) s"
        }
    }

    /// The requests of two histograms.
    public static func + (left: LatencyHistogram, right: LatencyHistogram) -> LatencyHistogram {
        var counts: [UInt64: Bucket] = [:]
        for bucket in left.buckets + right.buckets {
            var sum = counts[bucket.from] ?? Bucket(from: bucket.from, to: bucket.to, count: 0)
            sum.to = max(sum.to, bucket.to)
            sum.count = sum.count.addingClamped(bucket.count)
            counts[bucket.from] = sum
        }
        return LatencyHistogram(counts.values.sorted { $0.from < $1.from })
    }
}

extension UInt64 {
    /// The sum, or the largest number where it is larger.
    func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension Int64 {
    /// A number that any floating-point one comes closest to.
    fileprivate init(clampingFinite value: Double) {
        self = value < 9e18 ? (value > 0 ? Int64(value) : 0) : .max
    }
}
