internal import Histogram

/// How long requests took: times and how many took so long.
///
/// As JSON it has the percentiles and the times, in nanoseconds:
///
///     {"count": 3, "nanoseconds": {"p50": 1040, "p90": 1040, "p99": 1040, "p999": 1040, "maximum": 1040},
///      "buckets": [[1040, 3]]}
public struct LatencyHistogram: Equatable, Sendable {
    /// A time and how many requests took about so long.
    public struct Bucket: Equatable, Sendable {
        /// The time in nanoseconds, the middle of a narrow range.
        public var nanoseconds: UInt64
        /// How many requests.
        public var count: UInt64

        /// Describes a time.
        public init(nanoseconds: UInt64, count: UInt64) {
            self.nanoseconds = nanoseconds
            self.count = count
        }
    }

    /// The most times read of a histogram; ours have fewer.
    static let bucketLimit = 1 << 14
    /// The longest time that percentiles tell from longer ones, in nanoseconds: 36 minutes.
    private static let longest: UInt64 = 1 << 41
    /// The most requests of one time: their sum cannot overflow.
    private static let countLimit: UInt64 = 1 << 48

    /// The times that some request took, shortest first.
    public let buckets: [Bucket]

    /// Takes the counts of ranges that follow each other.
    ///
    /// - Parameters:
    ///   - counts: How many requests took as long as each range says.
    ///   - lowestLatency: The shortest time of a range, in nanoseconds, by its number; asked also
    ///     for the number after the last.
    public init(counts: [UInt64], lowestLatency: (Int) -> UInt64) {
        self.init(
            counts.indices.compactMap { index in
                guard counts[index] > 0 else { return nil }
                let (from, to) = (lowestLatency(index), lowestLatency(index + 1))
                let middle = from + (to > from ? (to - from) / 2 : 0)
                return Bucket(nanoseconds: middle, count: counts[index])
            })
    }

    /// Takes times and how many requests took so long, in any order.
    ///
    /// - Parameter buckets: The times.
    public init(_ buckets: [Bucket] = []) {
        self.buckets = buckets.prefix(Self.bucketLimit).sorted { $0.nanoseconds < $1.nanoseconds }
    }

    /// How many requests there are.
    public var count: UInt64 { buckets.reduce(0) { $0.addingClamped($1.count) } }

    /// A percentile, within 3 %.
    ///
    /// - Parameter percentage: Which, from 0 to 100.
    /// - Returns: The time that so many of the requests did not exceed, in nanoseconds; `nil` when
    ///   there are none.
    public func nanoseconds(atPercentile percentage: Double) -> UInt64? {
        nanoseconds(atPercentiles: [percentage])?.first
    }

    /// Percentiles, each within 3 %.
    ///
    /// - Parameter percentages: Which, from 0 to 100.
    /// - Returns: The times, in nanoseconds; `nil` when there are no requests.
    public func nanoseconds(atPercentiles percentages: [Double]) -> [UInt64]? {
        var histogram = Histogram<UInt64>(
            highestTrackableValue: Self.longest, numberOfSignificantValueDigits: .two)
        for bucket in buckets where bucket.count > 0 {
            histogram.record(
                min(bucket.nanoseconds, Self.longest), count: min(bucket.count, Self.countLimit))
        }
        guard histogram.totalCount > 0 else { return nil }
        return percentages.map { histogram.valueAtPercentile($0) }
    }

    /// A time as people read it, with two or three digits.
    package static func text(_ nanoseconds: UInt64) -> String {
        let units: [(name: String, size: UInt64)] = [
            ("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1000),
        ]
        guard let unit = units.first(where: { nanoseconds >= $0.size }) else {
            return "\(nanoseconds) ns"
        }
        let whole = nanoseconds / unit.size
        guard whole < 10 else { return "\(whole) \(unit.name)" }
        return "\(whole).\(nanoseconds % unit.size * 10 / unit.size) \(unit.name)"
    }

    /// The requests of two histograms.
    public static func + (left: LatencyHistogram, right: LatencyHistogram) -> LatencyHistogram {
        var counts: [UInt64: UInt64] = [:]
        for bucket in left.buckets + right.buckets {
            counts[bucket.nanoseconds, default: 0] =
                (counts[bucket.nanoseconds] ?? 0).addingClamped(bucket.count)
        }
        return LatencyHistogram(counts.map { Bucket(nanoseconds: $0.key, count: $0.value) })
    }
}

extension LatencyHistogram: Codable {
    private enum Key: String, CodingKey {
        case count, nanoseconds, buckets
    }

    private enum Percentile: String, CodingKey, CaseIterable {
        case p50, p90, p99, p999, maximum

        var percentage: Double {
            switch self {
            case .p50: 50
            case .p90: 90
            case .p99: 99
            case .p999: 99.9
            case .maximum: 100
            }
        }
    }

    /// Reads what ``encode(to:)`` writes; percentiles are found anew.
    public init(from decoder: any Decoder) throws {
        let document = try decoder.container(keyedBy: Key.self)
        var list = try document.nestedUnkeyedContainer(forKey: .buckets)
        var buckets: [Bucket] = []
        while !list.isAtEnd, buckets.count < Self.bucketLimit {
            var pair = try list.nestedUnkeyedContainer()
            buckets.append(
                Bucket(
                    nanoseconds: try pair.decode(UInt64.self),
                    count: try pair.decode(UInt64.self)))
        }
        self.init(buckets)
    }

    /// Writes the count, the percentiles and the times.
    public func encode(to encoder: any Encoder) throws {
        var document = encoder.container(keyedBy: Key.self)
        try document.encode(count, forKey: .count)
        var times = document.nestedContainer(keyedBy: Percentile.self, forKey: .nanoseconds)
        let known = nanoseconds(atPercentiles: Percentile.allCases.map(\.percentage)) ?? []
        for (percentile, time) in zip(Percentile.allCases, known) {
            try times.encode(time, forKey: percentile)
        }
        var list = document.nestedUnkeyedContainer(forKey: .buckets)
        for bucket in buckets {
            var pair = list.nestedUnkeyedContainer()
            try pair.encode(bucket.nanoseconds)
            try pair.encode(bucket.count)
        }
    }
}

extension UInt64 {
    /// The sum, or the largest number where it is larger.
    func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
