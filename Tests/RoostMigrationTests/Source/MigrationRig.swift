import Logging
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// A migration in this process: a scripted guest, a source, and a destination at the other end of
/// a pair of sockets.
struct MigrationRig: Sendable {
    var parameters = MigrationParameters()
    var options = DestinationOptions(maximumRAMByteCount: 1 << 30, decompressionThreads: 0)
    var guest: ScriptedGuest
    /// The destination's blocks, which begin empty.
    var destination: [ScriptedGuest.Block]
    var throttle: (any Throttle)?
    /// Stands between source and socket.
    var wrap: @Sendable (any SourceConnection) -> any SourceConnection = { $0 }
    /// Tells the time since the migration began; the real one unless set.
    var now: (@Sendable () -> Duration)?
    /// Called before anything begins.
    var onBegin: @Sendable (MigrationSource, MigrationDestination) -> Void = { _, _ in }
    /// Takes the migration to its end in place of ``MigrationSource/run()``.
    var drive: (@Sendable (MigrationSource) throws -> Void)?
    /// Blocks that the destination is given when the stream names one it has not.
    var added: [ScriptedGuest.Block] = []
    /// Whether to wait until nothing is left; not where the test keeps a connection.
    var looksForRemains = false
    /// Stands in place of the destination, and owns its end.
    var peer: (@Sendable (StreamSocket) -> Void)?

    struct Outcome: Sendable {
        var source: Result<MigrationStatistics, MigrationError>
        var destination: Result<DestinationStatistics, MigrationError>
        var statistics: MigrationStatistics
        /// Whether no object or socket of it is left, where that was looked for.
        var leavesNothing = false
    }

    init(_ guest: ScriptedGuest) throws {
        self.guest = guest
        destination = try guest.state.withLock { $0.blocks }.map { block in
            try ScriptedGuest.Block(
                block.block.name, pages: Int(block.block.maximumByteCount) / pageByteCount,
                usedPages: Int(block.block.usedByteCount) / pageByteCount)
        }
    }

    func run() async throws -> Outcome {
        weak var weakSource: MigrationSource?
        weak var weakDestination: MigrationDestination?
        var outcome: Outcome
        let sockets: Set<String>
        do {
            let (near, far) = try StreamSocket.pair()
            sockets = Set(
                try [near, far].map { "socket:[\(try ProcessState.inode(of: $0))]" })
            let blocks = guest.state.withLock { $0.blocks }
            let source = try MigrationSource(
                blocks: blocks.map(\.migrated), tracker: guest, guest: guest, throttle: throttle,
                connection: wrap(SocketConnection(near)), parameters: parameters,
                logger: .quiet, now: now)
            let added = added
            let loading = MigrationDestination(
                blocks: destination.map(\.migrated), socket: far, options: options,
                addedBlocks: { added.map(\.migrated) })
            (weakSource, weakDestination) = (source, loading)
            onBegin(source, loading)
            async let loaded = load(far, loading)
            let sent = await Self.outcome { () throws(MigrationError) in try await send(source) }
            outcome = Outcome(
                source: sent, destination: await loaded, statistics: source.statistics)
        }
        guard looksForRemains else { return outcome }
        outcome.leavesNothing = await ProcessState.settles {
            weakSource == nil && weakDestination == nil
                && sockets.isDisjoint(with: ProcessState.openFiles())
        }
        return outcome
    }

    private func send(_ source: MigrationSource) async throws(MigrationError) -> MigrationStatistics
    {
        guard let drive else { return try await source.run() }
        let result: Result<Void, MigrationError>
        do throws(SystemError) {
            result = try await DedicatedThread.result(name: "rig") {
                () throws(MigrationError) in
                do {
                    try drive(source)
                } catch let error as MigrationError {
                    throw error
                } catch {
                    Issue.record(error)
                    throw .forTest
                }
            }
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        try result.get()
        return source.statistics
    }

    private func load(
        _ socket: StreamSocket, _ loading: MigrationDestination
    ) async -> Result<DestinationStatistics, MigrationError> {
        guard let peer else {
            return await Self.outcome { () throws(MigrationError) in try await loading.run() }
        }
        // The descriptor is closed for the source too, although the destination holds the socket.
        _ = try? await DedicatedThread.run(name: "rig") {
            peer(socket)
            RelayRig.close(socket)
        }
        return .failure(.forTest)
    }

    static func outcome<Value: Sendable>(
        _ body: @Sendable () async throws(MigrationError) -> Value
    ) async -> Result<Value, MigrationError> {
        do throws(MigrationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// The first block and page in which both sides differ.
    var difference: String? {
        for (mine, theirs) in zip(guest.state.withLock { $0.blocks }, destination) {
            if let page = mine.difference(from: theirs) {
                return "block \(mine.block.name) page \(page)"
            }
        }
        return nil
    }
}

extension Logger {
    /// Says nothing.
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}
