internal import RoostSystem
internal import SystemPackage

/// A guest's move from one QEMU to another with a relay and a receiver between them, all driven
/// from one process.
///
///     source QEMU ── stream ──▶ relay ══ Roost's wire ══▶ receiver ── stream ──▶ destination QEMU
///
/// Both QEMUs are handed their end of the stream over their monitors, so nothing listens
/// anywhere.
package struct RelayedMove: Sendable {
    /// What a move came to, from every side.
    package struct Report: Sendable {
        /// What QEMU tells.
        package let move: GuestMoveReport
        /// What the relay took in and sent.
        package let relay: RelayStatistics
        /// What the receiver wrote.
        package let receiver: RelayStatistics
    }

    private let source: QMPClient
    private let destination: QMPClient
    private let options: GuestMoveOptions
    private let relayOptions: RelayOptions

    /// Describes a move.
    ///
    /// - Parameters:
    ///   - source: The monitor of the QEMU where the guest is.
    ///   - destination: The monitor of the QEMU that waits for it.
    ///   - options: How QEMU is to move it.
    ///   - relayOptions: The limits of what lies between; a dump shows the relay's memory.
    package init(
        from source: QMPClient, to destination: QMPClient, options: GuestMoveOptions,
        relayOptions: RelayOptions
    ) {
        self.source = source
        self.destination = destination
        self.options = options
        self.relayOptions = relayOptions
    }

    /// Moves the guest.
    ///
    /// - Parameter progress: Called several times a second with QEMU's progress and the relay's.
    /// - Returns: The report.
    /// - Throws: `MigrationError`; its sentence says where the guest runs.
    package func run(
        progress: @escaping @Sendable (GuestMoveProgress, RelayStatistics) -> Void
    ) async throws(MigrationError) -> Report {
        let stream = try Self.pair()
        let wire = try Self.pair()
        let output = try Self.pair()
        var surroundings = MigrationRelay.Surroundings()
        let source = source
        surroundings.confirmsRelease = { await source.hasCompletedMigration() }
        let relay = MigrationRelay(
            source: stream.1, wire: WireSocket(wire.0), options: relayOptions,
            surroundings: surroundings)
        let receiver = MigrationReceiver(
            wire: WireSocket(wire.1), output: .socket(output.0),
            options: RelayOptions(maximumRAMByteCount: relayOptions.maximumRAMByteCount))
        // Cancelling this task is QEMU's business first; the relay then ends with its streams.
        let relayed = Task { await Self.outcome(relay.run) }
        let received = Task { await Self.outcome(receiver.run) }
        // What the relay has decided says who may be told to go on.
        let move = GuestMove(from: source, to: destination, options: options) {
            relay.cancel()
            receiver.cancel()
            _ = await relayed.value
            return relay.place
        }
        let moved: GuestMoveReport
        do throws(MigrationError) {
            moved = try await move.run(sourceStream: stream.0, destinationStream: output.1) {
                progress($0, relay.statistics)
            }
        } catch {
            relay.cancel()
            receiver.cancel()
            let reasons = await [relayed.value, received.value].compactMap(\.failure)
            // A move that was given up cut the relay's streams short: it has nothing to add, nor
            // has one that only saw the cancellation.
            guard error.kind != .timeout, error.kind != .cancelled,
                let reason = reasons.first(where: { $0.kind != .cancelled && $0.kind != .peer })
            else { throw error }
            throw MigrationError(error.kind, errno: error.errno, "\(error); the relay: \(reason)")
        }
        return Report(
            move: moved, relay: try await relayed.value.get(),
            receiver: try await received.value.get())
    }

    private static func pair() throws(MigrationError) -> (StreamSocket, StreamSocket) {
        do throws(SystemError) {
            return try StreamSocket.pair()
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
    }

    private static func outcome(
        _ body: () async throws(MigrationError) -> RelayStatistics
    ) async -> Result<RelayStatistics, MigrationError> {
        do throws(MigrationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}

extension Result {
    /// The error, where it is one.
    fileprivate var failure: Failure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}
