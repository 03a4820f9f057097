import CDiskPeers
import Foundation
import RoostBlock
import RoostHypervisor
import Workloads

/// How many guests there are at once.
private let guestCounts = [1, 2, 4, 8, 12, 16]
private let runCount = 3
private let guestByteCount = 32 << 20
private let guestDepth = 32

/// How frontends grant and how the backend reaches their pages.
private struct Pairing {
    let policy: GrantPolicy
    let mode: GrantMode

    var name: String { "\(policy.rawValue), \(mode.rawValue)" }

    /// Those that make sense: without persistence offered, a backend cannot keep grants.
    static let all = [
        Pairing(policy: .always, mode: .persistent), Pairing(policy: .always, mode: .copy),
        Pairing(policy: .never, mode: .copy), Pairing(policy: .always, mode: .map),
        Pairing(policy: .never, mode: .map),
    ]
}

/// Guests that read their disks in order, all at once, each a process.
///
/// - Parameter arguments: `seconds=N` for each cell (default 1), `plot=FILE` for the picture.
/// - Throws: What keeps it from being measured.
func guests(_ arguments: [String]) async throws {
    let seconds = try option("seconds", in: arguments) ?? 1
    var rates = Pairing.all.map { _ in guestCounts.map { _ in [Double]() } }
    for run in 0..<runCount {
        for step in Pairing.all.indices {
            let pairing = (step + run) % Pairing.all.count
            for (place, count) in guestCounts.enumerated() {
                let rate = try await measure(Pairing.all[pairing], guests: count, seconds: seconds)
                rates[pairing][place].append(rate)
            }
        }
    }
    head(["guests"] + Pairing.all.map(\.name) + ["persistent / map", "persistent / copy"])
    for (place, count) in guestCounts.enumerated() {
        let spreads = rates.map { Spread($0[place]) }
        row(
            ["\(count)"] + spreads.map { $0.text("%.0f") }
                + [
                    decimal(spreads[0].median / spreads[4].median),
                    decimal(spreads[0].median / spreads[2].median),
                ])
    }
    let prefix = "plot="
    for argument in arguments where argument.hasPrefix(prefix) {
        try Data(plot(rates).svg.utf8).write(
            to: URL(fileURLWithPath: String(argument.dropFirst(prefix.count))))
    }
}

private func plot(_ rates: [[[Double]]]) -> LinePlot {
    LinePlot(
        title: "Sequential reads of 4 KiB from memory disks by guests at once",
        xLabel: "guests, each a process", yLabel: "thousand requests a second, all guests",
        places: guestCounts.map(Double.init),
        lines: zip(Pairing.all, rates).map { pairing, places in
            LinePlot.Line(
                name: pairing.name, values: places.map { Spread($0).median / 1000 },
                spreads: places.map { ($0.min() ?? 0, $0.max() ?? 0) }.map {
                    ($0.0 / 1000, $0.1 / 1000)
                }, isDashed: pairing.policy == .never)
        })
}

/// Runs so many guests; answers their requests a second while all of them ran.
private func measure(
    _ pairing: Pairing, guests count: Int, seconds: Double
) async throws -> Double {
    let lab = try DiskLab.start(pairing.mode, diskCount: count, byteCount: guestByteCount)
    var programs: [Program] = []
    defer {
        for program in programs { program.stop() }
        withExtendedLifetime(lab) {}
    }
    for number in 0..<count {
        let program = try Program(["guest", lab.folder, pairing.policy.rawValue])
        programs.append(program)
        let domain = try DiskLab.domain(try program.line())
        try program.write(try await lab.attach(disk: number, to: domain))
    }
    for program in programs { try program.expect("FILLED") }
    for program in programs { try program.write("start") }
    for program in programs { try program.expect("RUNNING") }
    let begins = try marks(programs)
    try await Task.sleep(for: .seconds(seconds))
    let ends = try marks(programs)
    for program in programs { try program.write("stop") }
    for program in programs { try program.expect("RIGHT") }
    try check(pairing, try lab.backendLine("grants"))
    return zip(begins, ends).reduce(0) { sum, marks in
        sum + Double(marks.1.requests - marks.0.requests)
            / (Double(marks.1.nanoseconds - marks.0.nanoseconds) / 1e9)
    }
}

/// How many requests each guest has done, and when that was.
private func marks(_ programs: [Program]) throws -> [(requests: Int, nanoseconds: Int)] {
    for program in programs { try program.write("mark") }
    return try programs.map { program in
        let numbers = try program.numbers()
        guard numbers.count == 2 else { throw Failure("a guest did not say how far it is") }
        return (numbers[0], numbers[1])
    }
}

/// Whether the backend did reach the pages in the way that is measured.
private func check(_ pairing: Pairing, _ counts: [Int]) throws {
    guard counts.count == 6 else { throw Failure("the backend did not say what it did") }
    let (requests, mappedOnce, copied) = (counts[0], counts[3], counts[4])
    let isRight =
        switch pairing.mode {
        case .persistent: mappedOnce == 0 && copied == 0
        case .map: mappedOnce >= requests && copied == 0
        case .copy: mappedOnce == 0 && copied >= requests
        }
    guard requests > 0, isRight else {
        throw Failure("\(pairing.name): \(counts) is not what was to be measured")
    }
}

/// A guest's process: fills its disk, then reads it in order again and again while it is told so.
func beGuest(_ folder: String, _ policy: String) async throws {
    guard let policy = GrantPolicy(rawValue: policy) else {
        throw Failure("no policy is '\(policy)'")
    }
    let domain = try EmbeddedDomain(at: HypervisorLocation(directory: folder), name: "guest")
    say("\(domain.id)")
    guard let path = readLine() else { return }
    let disk = try await RoostDisk.connect(
        "Roost", domain: domain, folder: path, byteCount: guestByteCount, policy: policy)
    _ = try disk.run(.fill(blockCount: guestByteCount / 4096))
    say("FILLED")
    guard readLine() == "start" else { return }
    disk.start(DiskJob(order: .sequential, depth: guestDepth))
    let before = disk.requestCount
    while disk.requestCount < before + 2 * guestDepth {
        try await Task.sleep(for: .milliseconds(1))
    }
    say("RUNNING")
    while let line = readLine(), line == "mark" { say("\(disk.requestCount) \(cdisk_now())") }
    disk.stop()
    _ = try disk.finish()
    say("RIGHT")
}
