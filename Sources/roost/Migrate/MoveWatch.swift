import RoostHost
import RoostMigration
import RoostSystem

/// Shows a move's progress while it runs.
enum MoveWatch {
    /// Runs a move.
    ///
    /// - Parameters:
    ///   - title: The command's name.
    ///   - statistics: How far it is.
    ///   - body: The move.
    /// - Returns: What the move returned.
    /// - Throws: What the move throws, with what TLS knows.
    static func run(
        _ title: String,
        _ statistics: @escaping @Sendable () -> RelayStatistics,
        _ body: @escaping @Sendable () async throws -> RelayStatistics
    ) async throws -> RelayStatistics {
        let line = ProgressReporter(title)
        // A move that ends tells the other side so, within its grace.
        let hold = StopHolds.hold { "the other side to hear that the move ends" }
        defer { withExtendedLifetime(hold) {} }
        let watch = Task {
            var isListed = false
            while !Task.isCancelled {
                let now = statistics()
                if now.memoryBytes > 0, !isListed {
                    isListed = true
                    Console.note(
                        "\(title): holds the guest's memory while it moves, at most "
                            + Console.bytes(now.memoryBytes))
                }
                if now.wireBytes > 0 {
                    line.show(
                        now.wireBytes, of: nil,
                        "\(now.pages) pages, stream \(Console.bytes(now.streamBytes))")
                }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        let outcome = await Task { try await body() }.cancellable()
        watch.cancel()
        await watch.value
        line.end()
        return try outcome.get()
    }
}

extension Connection {
    /// The connection as a move takes it over.
    var wire: WireSocket {
        WireSocket(socket, fault: { failure?.description }, close: { await close() })
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

extension Duration {
    /// The duration in seconds.
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
