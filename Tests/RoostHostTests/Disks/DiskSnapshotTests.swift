import Foundation
import RoostHost
import Testing

@Suite struct DiskSnapshotTests {
    @Test func `a percentile falls into the range of its request`() {
        let none = LatencyHistogram()
        #expect(none.nanoseconds(atPercentile: 50) == nil)
        // 90 requests of 256 to 511 ns, 10 of 1024 to 2047.
        let histogram = LatencyHistogram(
            counts: Array(repeating: 0, count: 8) + [90, 0, 10])
        #expect(histogram.count == 100)
        for (percentage, range) in [
            (0.0, 256...512), (50, 256...512), (90, 256...512), (91, 1024...2048),
            (100, 1024...2048),
        ] as [(Double, ClosedRange<UInt64>)] {
            let time = histogram.nanoseconds(atPercentile: percentage) ?? 0
            #expect(range.contains(time), "\(percentage): \(time)")
        }
        #expect(histogram.nanoseconds(atPercentile: 45) == 384)
    }

    private static let counts: [[UInt64]] = [
        [0, 1], [1, 0, 0, 5, 7], [.max, .max, 1], Array(repeating: 3, count: 70),
    ]

    @Test func `percentiles never fall as the percentage grows, whatever the counts`() {
        for counts in Self.counts {
            let histogram = LatencyHistogram(counts: counts)
            let times = stride(from: 0.0, through: 100, by: 0.5).map {
                histogram.nanoseconds(atPercentile: $0) ?? 0
            }
            #expect(times == times.sorted())
        }
    }

    @Test func `queues add up, their latencies too`() {
        var queue = QueueSnapshot()
        queue.reads = 3
        queue.grantsPeak = .max
        queue.latency = LatencyHistogram(counts: [0, 2])
        var other = queue
        other.latency = LatencyHistogram(counts: [0, 1, 4])
        let device = DeviceSnapshot(
            frontend: 1, device: 51712, frontendState: "Connected", backendState: "Connected",
            queues: [queue, other])
        #expect(device.total.reads == 6)
        #expect(device.total.grantsPeak == .max)
        #expect(device.total.latency.buckets.map(\.count) == [3, 4])
        #expect(device.total.latency.buckets.map(\.from) == [2, 4])
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
