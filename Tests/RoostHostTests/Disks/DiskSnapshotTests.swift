import Foundation
import RoostBlock
import RoostHost
import Testing

@Suite struct DiskSnapshotTests {
    @Test func `percentiles are within 3 % of what was measured`() {
        #expect(LatencyHistogram().nanoseconds(atPercentile: 50) == nil)
        let times: [UInt64] = [700, 5000, 80_000, 1_100_000, 17_000_000, 3_000_000_000]
        var counts = [UInt64](repeating: 0, count: LatencyBuckets.count)
        for time in times {
            let bucket = counts.indices.last { LatencyBuckets.lowest(of: $0) <= time }
            counts[bucket ?? 0] += 10
        }
        let histogram = LatencyHistogram(counts: counts, lowestLatency: LatencyBuckets.lowest)
        #expect(histogram.count == 60)
        for (index, time) in times.enumerated() {
            let percentage = (Double(index) + 0.5) / Double(times.count) * 100
            let found = Double(histogram.nanoseconds(atPercentile: percentage) ?? 0)
            #expect(abs(found / Double(time) - 1) <= 0.03, "\(percentage): \(found)")
        }
    }

    private static let buckets: [[(UInt64, UInt64)]] = [
        [(1, 1)], [(0, 1), (1500, 5), (9000, 7)], [(1, .max), (2, .max), (.max, .max)],
        [(1000, 0), (500, 3)],
    ]

    @Test func `percentiles never fall as the percentage grows, whatever the counts`() {
        for buckets in Self.buckets {
            let histogram = LatencyHistogram(
                buckets.map { .init(nanoseconds: $0.0, count: $0.1) })
            let times = stride(from: 0.0, through: 100, by: 0.5).map {
                histogram.nanoseconds(atPercentile: $0) ?? 0
            }
            #expect(times == times.sorted())
        }
    }

    @Test(
        arguments: [
            (999, "999 ns"), (1000, "1.0 µs"), (12_345, "12 µs"), (9_990_000, "9.9 ms"),
            (2_500_000_000, "2.5 s"),
        ] as [(UInt64, String)])
    func `a time has two digits or more`(nanoseconds: UInt64, text: String) {
        #expect(LatencyHistogram.text(nanoseconds) == text)
    }

    @Test func `latencies pass through JSON with their percentiles`() throws {
        let histogram = LatencyHistogram([.init(nanoseconds: 1040, count: 3)])
        let text = String(decoding: try JSONEncoder().encode(histogram), as: UTF8.self)
        #expect(text.contains("[[1040,3]]") && text.contains("\"p99\":1040"))
        #expect(try JSONDecoder().decode(LatencyHistogram.self, from: Data(text.utf8)) == histogram)
    }

    @Test func `queues add up, their latencies too`() {
        var queue = QueueSnapshot()
        queue.reads = 3
        queue.grantsPeak = .max
        queue.latency = LatencyHistogram([.init(nanoseconds: 2, count: 2)])
        var other = queue
        other.latency = LatencyHistogram([
            .init(nanoseconds: 4, count: 4), .init(nanoseconds: 2, count: 1),
        ])
        let device = DeviceSnapshot(
            frontend: 1, device: 51712, frontendState: "Connected", backendState: "Connected",
            queues: [queue, other])
        #expect(device.total.reads == 6)
        #expect(device.total.grantsPeak == .max)
        #expect(device.total.latency.buckets.map(\.count) == [3, 4])
        #expect(device.total.latency.buckets.map(\.nanoseconds) == [2, 4])
    }

    @Test func `a snapshot passes through JSON as it was`() throws {
        let disk = DoctorCase().disk
        let decoded = try JSONDecoder().decode(
            DiskSnapshot.self, from: JSONEncoder().encode(disk))
        #expect(decoded == disk)
    }

    @Test func `rates are of the time between two snapshots`() {
        let before = DoctorCase().disk
        var after = before
        after.nanoseconds = 500_000_000
        after.devices[0].queues[0].reads += 1000
        after.devices[0].queues[0].writtenBytes += 4096
        let rates = rates(before, after)
        #expect(rates?.readsPerSecond == 2000)
        #expect(rates?.writesPerSecond == 0)
        #expect(rates?.writtenBytesPerSecond == 8192)
    }

    @Test func `a new connection, process or device has no rates of the old one`() {
        let before = DoctorCase().disk
        var after = before
        after.nanoseconds = 1_000_000_000
        after.devices[0].queues[0].reads = 10
        #expect(rates(before, after)?.readsPerSecond == 10)
        after.processID += 1
        #expect(rates(before, after)?.readsPerSecond == 0)
        #expect(rates(nil, after)?.readsPerSecond == 0)
        // Two snapshots of one moment, as a clock may give them.
        #expect(rates(before, before)?.readsPerSecond == 0)
    }

    private func rates(_ before: DiskSnapshot?, _ after: DiskSnapshot) -> DiskRates? {
        guard let name = try? ControlName(.disk, "web1") else { return nil }
        let listing = DiskListing(
            from: before.map { [(name, .success($0))] } ?? [], to: [(name, .success(after))])
        return listing.disks.first?.rates.first
    }

    @Test func `a listing tells the dead from the living`() async throws {
        let rig = try ControlRig()
        close(try rig.socket("disk-gone.sock"))
        let disk = DoctorCase().disk
        let name = try ControlName(.disk, "web1")
        let server = try await ControlServer(
            name, in: rig.directory, logger: rig.logger, snapshot: { disk })
        try await rig.serving(server) {
            let listing = await DiskListing.read(rig.client, over: .milliseconds(10))
            #expect(listing.disks.map(\.name) == ["gone", "web1"])
            #expect(listing.disks.map(\.condition) == ["dead", "served"])
            #expect(listing.disks[0].failure?.contains("disk gone is dead") == true)
            #expect(listing.disks[1].disk == disk)
        }
    }

    @Test(
        arguments: [
            ("xvda", 51712), ("xvdb", 51728), ("xvda1", 51713), ("xvdp15", 51967),
            ("xvdq", 1 << 28 | 16 << 8), ("xvda16", 1 << 28 | 16), ("xvdaa", 1 << 28 | 26 << 8),
            ("51728", 51728), ("768", nil), ("xvd", nil), ("sda", nil), ("xvda256", nil), ("", nil),
            ("xvda0", nil), ("xvd1", nil), ("xvdä", nil), ("-1", nil), ("99999999999", nil),
        ] as [(String, UInt32?)])
    func `a device's name has its number`(name: String, number: UInt32?) {
        #expect((try? DiskNodes.device(named: name)) == number)
    }
}
