import RoostHost
import RoostMigration
import Synchronization
import SystemPackage

/// Shows on standard error how far a command is: drawn over on a terminal, a line now and then
/// elsewhere, nothing with `--quiet`.
///
/// Any thread may show it.
final class ProgressReporter: Sendable {
    private let meter: Mutex<ProgressMeter>
    private let start = ContinuousClock.now

    /// Makes a reporter of work that begins now.
    ///
    /// - Parameter title: What goes on, such as `copying`.
    init(_ title: String) {
        meter = Mutex(
            ProgressMeter(
                title,
                on: Console.isTerminal
                    ? .terminal(columns: Console.columns(.standardError)) : .lines))
    }

    /// Shows work that is measured in bytes.
    ///
    /// - Parameters:
    ///   - done: The bytes so far.
    ///   - total: All of them, where that is known.
    ///   - detail: What else to say.
    func show(_ done: UInt64, of total: UInt64?, _ detail: @autoclosure () -> String = "") {
        let now = ContinuousClock.now - start
        meter.withLock { meter in
            if let line = meter.line(done, of: total, detail(), at: now) { Self.write(line) }
        }
    }

    /// Shows how far reading a file is.
    func show(_ progress: StreamProgress) {
        show(progress.position, of: progress.byteCount)
    }

    /// Shows work that has a sentence of its own.
    func show(_ text: () -> String) {
        let now = ContinuousClock.now - start
        meter.withLock { meter in
            if meter.isDue(at: now) { Self.write(meter.fitted(text())) }
        }
    }

    /// Takes the line away from the terminal.
    func end() {
        Console.draw("")
    }

    private static func write(_ line: String) {
        if Console.isTerminal { Console.draw(line) } else { Console.note(line) }
    }
}
