import ArgumentParser
import Glibc
import RoostSystem
import Synchronization
import UnixSignals

/// Ends a command as whoever runs it asks: by SIGINT, SIGTERM or SIGHUP.
///
/// The first signal cancels the command's task, which then ends in its own way. One that has not ended
/// soon is ended, with what it had made unfinished taken away; unless it holds what cannot be let go
/// at once, a request under way in a storage or a guest between two hosts: then it says what it waits
/// for. A second signal ends it at once.
enum SignalWatch {
    /// How long a command may take to end by itself.
    private static let limit = Duration.milliseconds(700)
    /// The descriptors that waiting for the signals takes, and a few for the command itself.
    private static let descriptorCount = 12
    /// After how long it says what it waits for; most waits are shorter.
    private static let patience = Duration.milliseconds(100)

    /// Runs a command.
    ///
    /// - Parameter command: The command, parsed.
    /// - Throws: What the command throws.
    static func run(_ command: any ParsableCommand) async throws {
        // Dispatch, which waits for the signals, ends the process when it gets no descriptor.
        if let shortage = DescriptorLimit.shortage(of: descriptorCount) {
            throw CommandFailure(shortage)
        }
        let signals = await UnixSignalsSequence(trapping: trapped)
        let parsed = Parsed(command: command)
        let work = Task { try await parsed.run() }
        let watch = Task {
            var isFirst = true
            for await signal in signals {
                // What runs on a thread of its own does not see that it is cancelled.
                guard isFirst, parsed.isAsynchronous else { end(signal) }
                isFirst = false
                work.cancel()
                watchEnd(after: signal)
            }
        }
        defer { watch.cancel() }
        try await work.value
    }

    /// The signals that end a command.
    ///
    /// A hangup that is ignored already stays so: it runs under nohup(1).
    private static var trapped: [UnixSignal] {
        [.sigint, .sigterm] + (ThisProcess.ignores(SIGHUP) ? [] : [.sighup])
    }

    /// A command on its way to the task or thread that runs it.
    private struct Parsed: @unchecked Sendable {
        // SAFETY (@unchecked Sendable): the parser keeps nothing of it, and it is run once.
        var command: any ParsableCommand

        var isAsynchronous: Bool { command is any AsyncParsableCommand }

        func run() async throws {
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                // It blocks, as a main program does.
                try await DedicatedThread.run(name: "roost", stackByteCount: 8 << 20) {
                    var command = command
                    try command.run()
                }
            }
        }
    }

    /// Ends the process when the command has not ended, and holds nothing any more.
    ///
    /// A thread of its own, which needs nothing of what the command may have blocked.
    private static func watchEnd(after signal: UnixSignal) {
        let failure = DedicatedThread.start(name: "roost-ending") {
            let begin = ContinuousClock.now
            var free = begin
            var isTold = false
            while true {
                let now = ContinuousClock.now
                let held = StopHolds.current
                if !held.isEmpty { free = now }
                if !held.isEmpty, !isTold, now - begin >= patience {
                    isTold = true
                    Console.note(
                        "\(signal): waiting for \(held.joined(separator: ", and for ")); a second "
                            + "signal ends it at once")
                }
                if now - free >= limit { end(signal) }
                ThisProcess.sleep(.milliseconds(20))
            }
        }
        if failure != nil { end(signal) }
    }

    /// Ends the process now, and leaves nothing unfinished behind.
    private static func end(_ signal: UnixSignal) -> Never {
        Leavings.removeAll()
        ThisProcess.end(128 + number(of: signal))
    }

    private static func number(of signal: UnixSignal) -> Int32 {
        switch signal {
        case .sigint: SIGINT
        case .sighup: SIGHUP
        default: SIGTERM
        }
    }
}
