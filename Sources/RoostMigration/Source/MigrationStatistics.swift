internal import RoostMemory
internal import RoostSystem

/// What a migration has done so far, in QEMU's terms.
///
/// Encoded, it has the shape of the reply to `query-migrate`: the same names, times in milliseconds,
/// rates of pages a second and megabits (10⁶ bits) a second.
public struct MigrationStatistics: Sendable, Equatable {
    /// How far a migration is; the raw values are QEMU's.
    public enum Status: String, Sendable, Equatable, Encodable, CaseIterable {
        /// Nothing was begun.
        case none
        /// The first dirty sync is being prepared.
        case setup
        /// Memory travels while the guest runs.
        case active
        /// The guest stands still while the rest is sent.
        case device
        /// The guest runs at the destination.
        case completed
        /// It failed; the guest runs at the source.
        case failed
        /// It is being cancelled.
        case cancelling
        /// It was cancelled; the guest runs at the source.
        case cancelled
    }

    /// The guest's memory and what was sent of it.
    public struct RAM: Sendable, Equatable {
        /// Bytes of page records sent.
        public var transferred: UInt64 = 0
        /// Bytes of memory still to be sent.
        public var remaining: UInt64 = 0
        /// Bytes of memory the guest has.
        public var total: UInt64 = 0
        /// Pages sent as zero.
        public var duplicate: UInt64 = 0
        /// Pages not sent because XBZRLE found them unchanged; always 0 in QEMU.
        public var skipped: UInt64 = 0
        /// Pages sent whole.
        public var normal: UInt64 = 0
        /// How fast the guest dirtied pages in the last period, in pages a second.
        public var dirtyPagesRate: UInt64 = 0
        /// How fast the stream goes, in megabits a second.
        public var mbps: Double = 0
        /// How many times dirty pages were looked for: the rounds.
        public var dirtySyncCount: UInt64 = 0
        /// How fast pages go, in pages a second.
        public var pagesPerSecond: UInt64 = 0
        /// Bytes sent while the guest ran.
        public var precopyBytes: UInt64 = 0
        /// Bytes sent while the guest stood still.
        public var downtimeBytes: UInt64 = 0

        /// Bytes of the pages sent whole.
        public var normalBytes: UInt64 { normal &* UInt64(pageByteCount) }

        /// Makes statistics of nothing.
        public init() {}
    }

    /// What XBZRLE did.
    public struct XBZRLECache: Sendable, Equatable {
        /// The cache's size in bytes.
        public var cacheSize: UInt64 = 0
        /// What deltas took in the stream, as the ``MigrationDialect`` counts.
        public var bytes: UInt64 = 0
        /// Pages that were dealt with, as the ``MigrationDialect`` counts.
        public var pages: UInt64 = 0
        /// Pages that the cache did not have.
        public var cacheMiss: UInt64 = 0
        /// The share of pages that the cache did not have in the last period, 0 to 1.
        public var cacheMissRate: Double = 0
        /// How many bytes of pages one byte of a delta stood for in the last period.
        public var encodingRate: Double = 0
        /// Pages whose delta would have been longer than they are.
        public var overflow: UInt64 = 0

        /// Makes statistics of nothing.
        public init() {}
    }

    /// What zlib did.
    public struct Compression: Sendable, Equatable {
        /// Pages that went through the threads.
        public var pages: UInt64 = 0
        /// Pages for which no thread was free.
        public var busy: UInt64 = 0
        /// The share of pages for which no thread was free in the last period, 0 to 1.
        public var busyRate: Double = 0
        /// What the pages came to, in bytes.
        public var compressedSize: UInt64 = 0
        /// How many bytes of pages one byte of the stream stood for in the last period.
        public var compressionRate: Double = 0

        /// Makes statistics of nothing.
        public init() {}
    }

    /// How far the migration is.
    public var status: Status = .none
    /// The time since the migration began, up to its end.
    public var totalTime: Duration = .zero
    /// The time before the first page.
    public var setupTime: Duration = .zero
    /// How long the guest would stand still if the rest were sent now, while it runs.
    public var expectedDowntime: Duration?
    /// How long the guest stood still, once that is over.
    public var downtime: Duration?
    /// How much processor time auto-converge takes from the guest, in percent; `nil` when off.
    public var throttlePercentage: Int?
    /// Why the migration failed.
    public var errorDescription: String?
    /// The guest's memory.
    public var ram = RAM()
    /// What XBZRLE did, where it is on.
    public var xbzrleCache: XBZRLECache?
    /// What zlib did, where it is on.
    public var compression: Compression?

    /// Makes statistics of a migration that has not begun.
    public init() {}

    /// How fast the stream goes, in bytes a second.
    public var bytesPerSecond: Double { max(0, ram.mbps) * 125_000 }

    /// The time until the rest is sent at the present rates.
    ///
    /// `nil` when the guest dirties as fast as the stream carries, when it would take more than a
    /// year, or when nothing is known yet.
    public var timeLeft: Duration? {
        guard status == .active || status == .device else { return nil }
        // A guest that stands still dirties nothing.
        let dirtied =
            status == .device ? 0 : Double(ram.dirtyPagesRate) * Double(pageByteCount)
        let gain = bytesPerSecond - dirtied
        guard gain > 0 else { return nil }
        let seconds = Double(ram.remaining) / gain
        // A Duration made of any Double could trap.
        return seconds < 31_536_000 ? .milliseconds(Int64(seconds * 1000)) : nil
    }

    /// One line for a person: round, rate, what remains, dirty rate, throttle, time left.
    public var progress: String {
        var parts = ["\(status.rawValue)"]
        if status == .active || status == .device {
            parts.append("round \(ram.dirtySyncCount)")
            parts.append(Quantity.rate(bytesPerSecond))
            parts.append("\(Quantity.bytes(ram.remaining)) left")
            let dirtied = Double(ram.dirtyPagesRate) * Double(pageByteCount)
            // 0 stands for what was not measured yet as well.
            if dirtied > 0 { parts.append("dirties \(Quantity.rate(dirtied))") }
            if let throttlePercentage, throttlePercentage > 0 {
                parts.append("throttled \(throttlePercentage) %")
            }
            parts.append("ETA \(timeLeft.map(Self.clock) ?? "unknown")")
        } else if status != .none {
            parts.append("\(Quantity.bytes(ram.transferred)) sent")
            parts.append("took \(Self.clock(totalTime))")
            if let downtime { parts.append("downtime \(downtime.inMilliseconds) ms") }
        }
        return parts.joined(separator: ", ")
    }

    /// Hours, minutes and seconds, hours only where there are some; seconds are rounded up.
    private static func clock(_ time: Duration) -> String {
        let seconds = (time.inMilliseconds + 999) / 1000
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
        guard hours > 0 else { return "\(minutes):\(two(seconds % 60))" }
        return "\(hours):\(two(minutes)):\(two(seconds % 60))"
    }
}

extension MigrationStatistics: Encodable {
    private enum CodingKeys: String, CodingKey {
        case status
        case totalTime = "total-time"
        case setupTime = "setup-time"
        case expectedDowntime = "expected-downtime"
        case downtime
        case throttlePercentage = "cpu-throttle-percentage"
        case errorDescription = "error-desc"
        case ram
        case xbzrleCache = "xbzrle-cache"
        case compression
    }

    /// Encodes the reply to `query-migrate`: what does not apply is left out.
    ///
    /// - Parameter encoder: Where it goes.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(status, forKey: .status)
        try values.encodeIfPresent(errorDescription, forKey: .errorDescription)
        guard status != .none else { return }
        try values.encode(totalTime.inMilliseconds, forKey: .totalTime)
        try values.encode(setupTime.inMilliseconds, forKey: .setupTime)
        try values.encodeIfPresent(expectedDowntime?.inMilliseconds, forKey: .expectedDowntime)
        try values.encodeIfPresent(downtime?.inMilliseconds, forKey: .downtime)
        try values.encodeIfPresent(throttlePercentage, forKey: .throttlePercentage)
        try values.encode(ram, forKey: .ram)
        try values.encodeIfPresent(xbzrleCache, forKey: .xbzrleCache)
        try values.encodeIfPresent(compression, forKey: .compression)
    }
}

extension MigrationStatistics.RAM: Encodable {
    private enum CodingKeys: String, CodingKey {
        case transferred, remaining, total, duplicate, skipped, normal, mbps
        case normalBytes = "normal-bytes"
        case dirtyPagesRate = "dirty-pages-rate"
        case dirtySyncCount = "dirty-sync-count"
        case pageSize = "page-size"
        case pagesPerSecond = "pages-per-second"
        case precopyBytes = "precopy-bytes"
        case downtimeBytes = "downtime-bytes"
        case postcopyBytes = "postcopy-bytes"
        case postcopyRequests = "postcopy-requests"
        case multifdBytes = "multifd-bytes"
        case missedZeroCopy = "dirty-sync-missed-zero-copy"
    }

    /// Encodes what QEMU calls `ram`; what belongs to postcopy and multifd is 0.
    ///
    /// - Parameter encoder: Where it goes.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(transferred, forKey: .transferred)
        try values.encode(remaining, forKey: .remaining)
        try values.encode(total, forKey: .total)
        try values.encode(duplicate, forKey: .duplicate)
        try values.encode(skipped, forKey: .skipped)
        try values.encode(normal, forKey: .normal)
        try values.encode(normalBytes, forKey: .normalBytes)
        try values.encode(dirtyPagesRate, forKey: .dirtyPagesRate)
        try values.encode(mbps.finite, forKey: .mbps)
        try values.encode(dirtySyncCount, forKey: .dirtySyncCount)
        try values.encode(pageByteCount, forKey: .pageSize)
        try values.encode(pagesPerSecond, forKey: .pagesPerSecond)
        try values.encode(precopyBytes, forKey: .precopyBytes)
        try values.encode(downtimeBytes, forKey: .downtimeBytes)
        try values.encode(0, forKey: .postcopyBytes)
        try values.encode(0, forKey: .postcopyRequests)
        try values.encode(0, forKey: .multifdBytes)
        try values.encode(0, forKey: .missedZeroCopy)
    }
}

extension MigrationStatistics.XBZRLECache: Encodable {
    private enum CodingKeys: String, CodingKey {
        case bytes, pages, overflow
        case cacheSize = "cache-size"
        case cacheMiss = "cache-miss"
        case cacheMissRate = "cache-miss-rate"
        case encodingRate = "encoding-rate"
    }

    /// Encodes what QEMU calls `xbzrle-cache`.
    ///
    /// - Parameter encoder: Where it goes.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(cacheSize, forKey: .cacheSize)
        try values.encode(bytes, forKey: .bytes)
        try values.encode(pages, forKey: .pages)
        try values.encode(cacheMiss, forKey: .cacheMiss)
        try values.encode(cacheMissRate.finite, forKey: .cacheMissRate)
        try values.encode(encodingRate.finite, forKey: .encodingRate)
        try values.encode(overflow, forKey: .overflow)
    }
}

extension MigrationStatistics.Compression: Encodable {
    private enum CodingKeys: String, CodingKey {
        case pages, busy
        case busyRate = "busy-rate"
        case compressedSize = "compressed-size"
        case compressionRate = "compression-rate"
    }

    /// Encodes what QEMU calls `compression`.
    ///
    /// - Parameter encoder: Where it goes.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(pages, forKey: .pages)
        try values.encode(busy, forKey: .busy)
        try values.encode(busyRate.finite, forKey: .busyRate)
        try values.encode(compressedSize, forKey: .compressedSize)
        try values.encode(compressionRate.finite, forKey: .compressionRate)
    }
}

extension Double {
    /// The number, or 0 where JSON has no number for it.
    fileprivate var finite: Double { isFinite ? self : 0 }
}
