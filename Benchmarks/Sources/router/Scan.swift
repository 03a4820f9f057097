import Foundation
@_spi(Benchmarks) import RoostRouter

/// One namespace scans its link with a million packets while another forwards to a thousand hosts it knows.
///
/// A round is a millisecond of the router's clock: the scanner sends 64 packets, the other 32; the worker
/// deals with the scanner's batch, then with the other's; then the processor has its turns. Hosts
/// that exist answer ARP, as they do when the router asks them again.
func scan() throws {
    var scan = try Scan()
    let before = residentBytes()
    say("The namespace beside the scanner, 32 packets a millisecond to 1,000 hosts:\n")
    head([
        "phase", "packets", "forwarded at once", "arrived", "its own batch, µs: p50", "p99", "max",
        "behind the other's batch, µs: p50", "p99", "max",
    ])
    try scan.phase("before", rounds: 8_000, isScanning: false)
    let used = residentBytes()
    try scan.phase("during", rounds: 15_625, isScanning: true)
    let after = residentBytes()
    let usage = scan.router.snapshot.namespaces[0].usage
    try scan.phase("after", rounds: 8_000, isScanning: false)
    say("\nThe scanner's namespace after its million packets:\n")
    head(["table", "used", "limit", "refused"])
    for table in usage {
        row([table.table, "\(table.used)", "\(table.limit)", "\(table.refused)"])
    }
    say(
        "\nThe process: \((used - before) / 1024) KiB more before the scan, "
            + "\((after - used) / 1024) KiB more by it.\n")
}

private struct Scan: ~Copyable {
    var router: InMemoryRouter
    private let scanner = PacketFrame(forPort: 0)
    private let other = PacketFrame(forPort: 2)
    private let hosts: [IPv4Address]
    private var random = SeededRandom(seed: 3)

    /// Two namespaces of the same addresses; the other knows its thousand hosts.
    init() throws {
        let namespaces = ["scanner", "other"].map { name in
            NamespaceConfiguration(
                name: name,
                ports: [port("\(name)-left", "10.0.1.1/24"), port("\(name)-right", "10.255.0.1/9")])
        }
        hosts = (0..<1_000 as Range<UInt32>).map { IPv4Address(rawValue: 0x0A80_0002 + $0) }
        router = try InMemoryRouter(RouterConfiguration(namespaces: namespaces))
        for host in hosts {
            router.send([other.frame(to: host)], fromHost: 2)
            work()
            router.now += 10
        }
    }

    /// Lets everyone do what is left, and the hosts that exist answer.
    private mutating func work() {
        for _ in 0..<2 {
            router.work(ports: 0..<4)
            _ = answer()
        }
        router.work(ports: 0..<4)
    }

    /// - Returns: How many packets came to the other's hosts.
    private mutating func answer() -> Int {
        _ = router.answer(atHost: 0)
        // Behind the scanner's port is nobody.
        _ = router.answer(atHost: 1) { _ in false }
        _ = router.answer(atHost: 2)
        return router.answer(atHost: 3)
    }

    /// Some rounds with the scanner or without, and a row about them.
    mutating func phase(_ name: String, rounds: Int, isScanning: Bool) throws {
        var own: [Double] = []
        var behind: [Double] = []
        var arrived = 0
        let hits = router.snapshot.namespaces[1].statistics.inHit
        for _ in 0..<rounds {
            if isScanning {
                let frames = (0..<64).map { _ in
                    let host = UInt32.random(in: 2..<0x7F_0000, using: &random)
                    return scanner.frame(to: IPv4Address(rawValue: 0x0A80_0000 | host))
                }
                router.send(frames, fromHost: 0)
            }
            let frames = (0..<32).map { _ in
                other.frame(to: hosts[Int(random.next() % UInt64(hosts.count))])
            }
            router.send(frames, fromHost: 2)
            let start = nanoseconds(CLOCK_THREAD_CPUTIME_ID)
            router.receive(fromPort: 0)
            let middle = nanoseconds(CLOCK_THREAD_CPUTIME_ID)
            router.receive(fromPort: 2)
            let end = nanoseconds(CLOCK_THREAD_CPUTIME_ID)
            own.append(Double(end - middle) / 1_000)
            behind.append(Double(end - start) / 1_000)
            _ = router.takeTurn()
            arrived += answer()
            router.receive(fromPort: 1)
            router.receive(fromPort: 3)
            router.now += 1
        }
        work()
        arrived += answer()
        let sent = rounds * 32
        let forwarded = router.snapshot.namespaces[1].statistics.inHit - hits
        row(
            [
                name, "\(sent)", decimal(Double(forwarded) * 100 / Double(sent), 3) + " %",
                decimal(Double(arrived) * 100 / Double(sent), 3) + " %",
            ] + percentiles(own) + percentiles(behind))
    }

    private func percentiles(_ times: [Double]) -> [String] {
        let sorted = times.sorted()
        return [
            sorted[sorted.count / 2], sorted[sorted.count * 99 / 100], sorted[sorted.count - 1],
        ]
        .map { decimal($0, 1) }
    }
}

/// What the process has in memory.
private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
}
