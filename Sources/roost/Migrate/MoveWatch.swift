import RoostHost
import RoostMigration
import RoostSystem

/// Shows a move's progress while it runs, and says what TLS knows when it fails.
enum MoveWatch {
    /// Runs a move.
    ///
    /// - Parameters:
    ///   - connection: The wire it goes over, closed at the end.
    ///   - title: The command's name.
    ///   - statistics: How far it is.
    ///   - body: The move.
    /// - Returns: What the move returned.
    /// - Throws: What the move throws, with what TLS knows.
    static func run(
        _ connection: Connection, _ title: String,
        _ statistics: @escaping @Sendable () -> RelayStatistics,
        _ body: @escaping @Sendable () async throws -> RelayStatistics
    ) async throws -> RelayStatistics {
        let line = MoveLine(title)
        // A move that ends tells the other side so, within its grace.
        let hold = StopHolds.hold { "the other side to hear that the move ends" }
        defer { withExtendedLifetime(hold) {} }
        let watch = Task {
            while !Task.isCancelled {
                line.show(statistics())
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        let outcome = await Task { try await body() }.cancellable()
        watch.cancel()
        await watch.value
        line.end()
        await connection.close()
        do {
            return try outcome.get()
        } catch let error as MigrationError where error.kind == .transfer || error.kind == .peer {
            guard let reason = connection.failure else { throw error }
            throw CommandFailure("\(error); TLS: \(reason)")
        }
    }
}

extension Task where Failure == any Error {
    /// Waits for the task; cancelling the waiter cancels it.
    fileprivate func cancellable() async -> Result<Success, any Error> {
        await withTaskCancellationHandler {
            await result
        } onCancel: {
            cancel()
        }
    }
}

/// A failure with a sentence of its own.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = Console.plain(description)
    }
}

/// A line that tells how a move goes on: drawn over on a terminal, every ten seconds elsewhere.
final class MoveLine: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): used by the one task that watches, then by the one that
    // waited for it.
    private let title: String
    private let start = ContinuousClock.now
    private var shown = ContinuousClock.now
    private var lastBytes: UInt64 = 0
    private var isDrawn = false

    init(_ title: String) {
        self.title = title
    }

    func show(_ statistics: RelayStatistics) {
        let now = ContinuousClock.now
        let sinceShown = now - shown
        guard statistics.wireBytes > 0,
            Console.isTerminal ? sinceShown >= .milliseconds(200) : sinceShown >= .seconds(10)
        else { return }
        let rate = Double(statistics.wireBytes - lastBytes) / sinceShown.seconds
        lastBytes = statistics.wireBytes
        shown = now
        let text =
            "\(title): \(statistics.pages) pages, stream \(Console.bytes(statistics.streamBytes)), "
            + "wire \(Console.bytes(statistics.wireBytes)) "
            + "at \(Console.bytes(UInt64(max(rate, 0))))/s"
        if Console.isTerminal {
            isDrawn = true
            Console.draw(text)
        } else {
            Console.note(text)
        }
    }

    func end() {
        if isDrawn { Console.draw("") }
    }
}

extension Duration {
    /// The duration in seconds.
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

/// Work that Ctrl-C and SIGTERM cancel, and that then ends in its own way.
enum Interruptible {
    /// Runs work.
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await body()
    }
}
