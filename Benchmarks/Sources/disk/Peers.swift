import Foundation
import RoostBlock
import RoostHypervisor
import Workloads

/// How long the disks are: most requests miss the processor's caches.
private let diskByteCount = 1 << 30
/// How many turns each disk has.
private let turnCount = 5

/// The same requests to each disk by turns, from this process to another.
///
/// - Parameter arguments: `seconds=N` for each cell of a turn (default 2), `fio` to run fio's
///   NBD engine afterwards as a check of the client, `alone` to leave the peers out.
/// - Throws: What keeps it from being measured.
func peers(_ arguments: [String]) async throws {
    let seconds = try option("seconds", in: arguments) ?? 2
    let folder = try makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let servers =
        arguments.contains("alone")
        ? []
        : [
            try NBDServer.nbdkit(byteCount: diskByteCount, in: folder),
            try NBDServer.qemu(byteCount: diskByteCount, in: folder),
        ]
    let lab = try DiskLab.start(.persistent, diskCount: 1, byteCount: diskByteCount)
    let domain = try lab.domain("guest")
    let roost = try await RoostDisk.connect(
        "Roost", domain: domain, folder: try await lab.attach(disk: 0, to: domain.id),
        byteCount: diskByteCount)
    let disks: [any TestDisk] =
        [roost] + (try servers.map { try $0.connect(byteCount: diskByteCount) })
    for disk in disks { _ = try disk.run(.fill(blockCount: diskByteCount / 4096)) }
    let jobs = [(false, 1), (true, 1), (false, 32), (true, 32)].map { isWrite, depth in
        DiskJob(isWrite: isWrite, depth: depth, duration: UInt64(seconds * 1e9))
    }
    table(jobs, disks, try figures(jobs, disks))
    if arguments.contains("fio") { try runFio(servers, jobs, seconds: seconds) }
    // Their processes end with them.
    withExtendedLifetime((servers, lab)) {}
}

/// Runs each job on each disk by turns; answers figures by job, disk and turn.
private func figures(_ jobs: [DiskJob], _ disks: [any TestDisk]) throws -> [[[DiskFigures]]] {
    var figures = [[[DiskFigures]]](
        repeating: Array(repeating: [], count: disks.count), count: jobs.count)
    for turn in 0..<turnCount {
        for (row, job) in jobs.enumerated() {
            for step in disks.indices {
                // Each disk is first in turn, so that drift meets all alike.
                let column = (step + turn) % disks.count
                var job = job
                job.seed = UInt64(turn)
                figures[row][column].append(try disks[column].run(job))
            }
        }
    }
    return figures
}

private func table(_ jobs: [DiskJob], _ disks: [any TestDisk], _ figures: [[[DiskFigures]]]) {
    head([
        "4 KiB, random", "disk", "requests/s", "median, µs", "99 %, µs", "of the better peer",
    ])
    for (job, cells) in zip(jobs, figures) {
        let peer =
            zip(disks, cells).filter { $0.0.name != "Roost" }
            .map { Spread($0.1.map(\.requestsPerSecond)).median }.max() ?? 1
        for (disk, turns) in zip(disks, cells) {
            let rate = Spread(turns.map(\.requestsPerSecond))
            row([
                describe(job), disk.name, rate.text("%.0f"),
                decimal(Spread(turns.map(\.median)).median, 1),
                decimal(Spread(turns.map(\.percentile99)).median, 1),
                decimal(rate.median / peer),
            ])
        }
    }
}

private func describe(_ job: DiskJob) -> String {
    "\(job.isWrite ? "write" : "read"), depth \(job.depth)"
}

/// The same jobs by fio, whose writes end the stamps.
private func runFio(_ servers: [NBDServer], _ jobs: [DiskJob], seconds: Double) throws {
    say("")
    head(["4 KiB, random", "server", "fio's requests/s"])
    for job in jobs.sorted(by: { !$0.isWrite && $1.isWrite }) {
        for server in servers {
            let report = try output(
                of: "/usr/bin/fio",
                [
                    "--name=check", "--ioengine=nbd", "--uri=nbd+unix:///?socket=\(server.socket)",
                    "--rw=\(job.isWrite ? "randwrite" : "randread")", "--bs=4k",
                    "--iodepth=\(job.depth)", "--time_based", "--runtime=\(max(1, Int(seconds)))",
                    "--output-format=json",
                ])
            row([describe(job), server.name, decimal(try fioRate(report, job.isWrite), 0)])
        }
    }
}

private func fioRate(_ report: Data, _ isWrite: Bool) throws -> Double {
    // Its engine says first that it is connected.
    let json = report.drop { $0 != UInt8(ascii: "{") }
    let object = try JSONSerialization.jsonObject(with: json) as? [String: Any]
    let job = (object?["jobs"] as? [[String: Any]])?.first
    let side = job?[isWrite ? "write" : "read"] as? [String: Any]
    guard let rate = side?["iops"] as? Double else { throw Failure("fio printed no figures") }
    return rate
}

/// What a program prints, which ends by itself.
private func output(of binary: String, _ arguments: [String]) throws -> Data {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: binary)
    process.arguments = arguments
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure("\(binary) failed") }
    return data
}

/// The number after a word and an equals sign.
func option(_ word: String, in arguments: [String]) throws -> Double? {
    guard let argument = arguments.first(where: { $0.hasPrefix("\(word)=") }) else { return nil }
    guard let value = Double(argument.dropFirst(word.count + 1)) else {
        throw Failure("'\(argument)' is not a number")
    }
    return value
}
