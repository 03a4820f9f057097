import FoundationEssentials
import Testing

@testable import RoostMigration

/// The statistics have QEMU's shape and say how far a migration is (MIG-10).
@Suite struct MigrationStatisticsTests {
    private func encoded(_ statistics: MigrationStatistics) throws -> JSONValue {
        try JSONValue(json: Array(JSONEncoder().encode(statistics)))
    }

    private func keys(_ value: JSONValue?) -> Set<String> {
        guard case .object(let members)? = value else { return [] }
        return Set(members.keys)
    }

    private static var active: MigrationStatistics {
        var statistics = MigrationStatistics()
        statistics.status = .active
        statistics.totalTime = .milliseconds(1234)
        statistics.setupTime = .microseconds(5999)
        statistics.expectedDowntime = .milliseconds(42)
        statistics.ram.dirtySyncCount = 3
        statistics.ram.mbps = 800
        statistics.ram.remaining = 150_000_000
        statistics.ram.dirtyPagesRate = 12_207
        statistics.ram.normal = 7
        statistics.ram.skipped = 5
        return statistics
    }

    @Test func `what has not begun has only a status`() throws {
        #expect(keys(try encoded(MigrationStatistics())) == ["status"])
    }

    @Test func `memory has the members of query-migrate`() throws {
        let value = try encoded(Self.active)
        #expect(
            keys(value) == ["status", "total-time", "setup-time", "expected-downtime", "ram"])
        #expect(
            keys(value["ram"]) == [
                "transferred", "remaining", "total", "duplicate", "skipped", "normal",
                "normal-bytes", "dirty-pages-rate", "mbps", "dirty-sync-count",
                "postcopy-requests", "page-size", "multifd-bytes", "pages-per-second",
                "precopy-bytes", "downtime-bytes", "postcopy-bytes",
                "dirty-sync-missed-zero-copy",
            ])
        #expect(value["status"]?.string == "active")
        #expect(value["total-time"]?.unsignedInteger == 1234)
        #expect(value["setup-time"]?.unsignedInteger == 5)
        #expect(value["expected-downtime"]?.unsignedInteger == 42)
        #expect(value["ram"]?["normal-bytes"]?.unsignedInteger == 7 * 4096)
        #expect(value["ram"]?["skipped"]?.unsignedInteger == 5)
        #expect(value["ram"]?["page-size"]?.unsignedInteger == 4096)
        #expect(value["ram"]?["mbps"]?.double == 800)
    }

    @Test func `what is on has its members`() throws {
        var statistics = Self.active
        statistics.status = .completed
        statistics.expectedDowntime = nil
        statistics.downtime = .milliseconds(9)
        statistics.throttlePercentage = 20
        statistics.xbzrleCache = .init()
        statistics.xbzrleCache?.cacheSize = 4096
        statistics.compression = .init()
        statistics.compression?.compressedSize = 77
        let value = try encoded(statistics)
        #expect(
            keys(value) == [
                "status", "total-time", "setup-time", "downtime", "cpu-throttle-percentage", "ram",
                "xbzrle-cache", "compression",
            ])
        #expect(
            keys(value["xbzrle-cache"]) == [
                "cache-size", "bytes", "pages", "cache-miss", "cache-miss-rate", "encoding-rate",
                "overflow",
            ])
        #expect(
            keys(value["compression"]) == [
                "pages", "busy", "busy-rate", "compressed-size", "compression-rate",
            ])
        #expect(value["xbzrle-cache"]?["cache-size"]?.unsignedInteger == 4096)
        #expect(value["compression"]?["compressed-size"]?.unsignedInteger == 77)
    }

    @Test func `numbers that JSON has not are 0`() throws {
        var statistics = Self.active
        statistics.ram.mbps = .infinity
        statistics.xbzrleCache = .init()
        statistics.xbzrleCache?.encodingRate = .nan
        statistics.compression = .init()
        statistics.compression?.busyRate = -.infinity
        let value = try encoded(statistics)
        #expect(value["ram"]?["mbps"]?.double == 0)
        #expect(value["xbzrle-cache"]?["encoding-rate"]?.double == 0)
        #expect(value["compression"]?["busy-rate"]?.double == 0)
    }

    @Test func `XBZRLE's rates are of the period`() {
        let before = DeltaEncoder.Counters(pages: 10, bytes: 1000, misses: 5, overflows: 1)
        let now = DeltaEncoder.Counters(pages: 30, bytes: 1000 + 4096, misses: 15, overflows: 2)
        var cache = MigrationStatistics.XBZRLECache()
        cache.update(now, since: before, handledPages: 40)
        #expect(cache.pages == 30 && cache.bytes == 5096)
        #expect(cache.cacheMiss == 15 && cache.overflow == 2)
        #expect(cache.cacheMissRate == 0.25)
        #expect(cache.encodingRate == 20)
        cache.update(now, since: now, handledPages: 0)
        #expect(cache.encodingRate == 20)
        cache.update(now, since: now, handledPages: 1)
        #expect(cache.encodingRate == 0 && cache.cacheMissRate == 0)
    }

    @Test func `zlib's rates are of the period`() {
        let before = PageCompressor.Statistics(pages: 10, busy: 1, compressedByteCount: 4096)
        let now = PageCompressor.Statistics(pages: 30, busy: 11, compressedByteCount: 3 * 4096)
        var compression = MigrationStatistics.Compression()
        compression.update(now, since: before, handledPages: 40)
        #expect(compression.pages == 30 && compression.busy == 11)
        #expect(compression.compressedSize == 3 * 4096)
        #expect(compression.busyRate == 0.25)
        #expect(compression.compressionRate == 10)
    }

    @Test func `a failure has its reason`() throws {
        var statistics = MigrationStatistics()
        statistics.status = .failed
        statistics.errorDescription = "the link is gone"
        #expect(try encoded(statistics)["error-desc"]?.string == "the link is gone")
    }

    /// 800 Mb/s are 100 MB/s; 12,207 pages a second are 50 MB/s.
    @Test(
        arguments: [
            (.active, 800, 12_207, 150_000_000, 2999), (.active, 800, 0, 150_000_000, 1500),
            (.active, 800, 24_415, 150_000_000, nil), (.active, 0, 0, 1, nil),
            (.active, 800, 0, 0, 0), (.device, 800, 24_415, 150_000_000, 1500),
            (.active, .nan, 0, 1, nil), (.active, .infinity, 0, 1, 0),
            (.active, 0.000_001, 0, .max, nil), (.completed, 800, 0, 1, nil),
            (.setup, 800, 0, 1, nil),
        ] as [(MigrationStatistics.Status, Double, UInt64, UInt64, Int64?)])
    func `the time left is what remains at the rate that is gained`(
        status: MigrationStatistics.Status, mbps: Double, rate: UInt64, remaining: UInt64,
        milliseconds: Int64?
    ) {
        var statistics = MigrationStatistics()
        statistics.status = status
        statistics.ram.mbps = mbps
        statistics.ram.dirtyPagesRate = rate
        statistics.ram.remaining = remaining
        #expect(statistics.timeLeft?.inMilliseconds == milliseconds)
        #expect(!statistics.progress.isEmpty)
    }

    @Test func `progress is one line`() {
        var statistics = Self.active
        #expect(
            statistics.progress
                == "active, round 3, 95.4 MiB/s, 143 MiB left, dirties 47.7 MiB/s, ETA 0:03")
        statistics.throttlePercentage = 20
        statistics.ram.mbps = 12
        #expect(
            statistics.progress
                == "active, round 3, 1.43 MiB/s, 143 MiB left, dirties 47.7 MiB/s, throttled 20 %, "
                + "ETA unknown")
        statistics.status = .completed
        statistics.totalTime = .seconds(3725)
        statistics.downtime = .milliseconds(42)
        #expect(
            statistics.progress == "completed, 0 B sent, took 1:02:05, downtime 42 ms")
        #expect(MigrationStatistics().progress == "none")
    }
}
