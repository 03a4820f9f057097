import Foundation
import RoostMigration
import Workloads

/// How long a busy guest stands still at a move, against the limit that was asked for.
func downtime() async throws {
    let moveCount = 20
    head([
        "limit, ms", "moves", "downtime, ms: median", "most", "within the limit",
        "the guest's longest pause, ms: median", "most", "rounds",
    ])
    for limit in [50, 100, 300] {
        var (downtimes, pauses, rounds): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<moveCount {
            let move = try await move(limit: .milliseconds(limit))
            downtimes.append(move.downtime)
            pauses.append(move.pause)
            rounds.append(move.rounds)
        }
        let (stood, felt) = (Spread(downtimes), Spread(pauses))
        row([
            "\(limit)", "\(moveCount)", decimal(stood.median, 0), decimal(stood.maximum, 0),
            "\(downtimes.filter { $0 <= Double(limit) }.count)", decimal(felt.median, 0),
            decimal(felt.maximum, 0), decimal(Spread(rounds).median, 0),
        ])
    }
}

private struct Move {
    let downtime: Double
    let pause: Double
    let rounds: Double
}

private func move(limit: Duration) async throws -> Move {
    let folder = try makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let leaving = try stampedGuest([
        "--socket", "\(folder)/leaving", "--memory", "256M", "--hot", "50",
        "--writes-per-second", "50000",
    ])
    defer { leaving.stop() }
    let arriving = try stampedGuest([
        "--socket", "\(folder)/arriving", "--memory", "256M", "--incoming",
    ])
    defer { arriving.stop() }
    var options = ProcessMove.Options()
    options.parameters.downtimeLimit = limit
    let report = try await ProcessMove(
        from: try ProcessGuest.connect(to: "\(folder)/leaving"),
        to: try ProcessGuest.connect(to: "\(folder)/arriving"), options
    ).run { _ in }
    try check(try arriving.line())
    // It must go on working where it is.
    try await Task.sleep(for: .milliseconds(200))
    arriving.terminate()
    let last = try check(try arriving.line())
    guard let downtime = report.source.downtime,
        let pause = last["longestPauseMicroseconds"] as? Int
    else { throw Failure("a move without a downtime") }
    return Move(
        downtime: downtime / .milliseconds(1), pause: Double(pause) / 1000,
        rounds: Double(report.source.ram.dirtySyncCount))
}

@discardableResult
private func check(_ line: String) throws -> [String: Any] {
    let found = try json(line)
    guard found["ok"] as? Bool == true else { throw Failure("the guest is not whole: \(line)") }
    return found
}
