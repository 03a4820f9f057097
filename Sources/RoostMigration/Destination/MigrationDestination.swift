internal import RoostMemory
internal import RoostSystem
internal import Synchronization
public import SystemPackage

/// The destination of a live migration: loads QEMU's stream straight into a guest's memory files.
///
///     let destination = try MigrationDestination(
///         blocks: blocks, from: accepted,
///         options: DestinationOptions(maximumRAMByteCount: 8 << 30))
///     let statistics = try await destination.run()
///     // The memory is whole: start the guest.
///
/// The source is a ``MigrationSource`` or a QEMU; the state of QEMU's devices is passed over. Where
/// the source opened its return path it is told the outcome, and lets go of its guest only when
/// that is good. A source that breaks off leaves memory that must not be started.
public final class MigrationDestination: Sendable {
    /// How long to wait for a description behind a stream that is whole without one: QEMU sends it
    /// at once.
    private static let descriptionLimit = Duration.milliseconds(200)

    private struct State {
        var statistics = DestinationStatistics()
        var isCancelled = false
    }

    private let socket: StreamSocket
    private let state = Mutex(State())
    private let options: DestinationOptions
    private let blocks: [MigratedBlock]
    private let addedBlocks: @Sendable () -> [MigratedBlock]

    /// Makes a destination.
    ///
    /// - Parameters:
    ///   - blocks: The guest's RAM blocks, whose files are written. What they hold that the stream
    ///     does not name stays.
    ///   - source: A connected stream socket that blocks, at whose other end the source is. The
    ///     destination owns it from then on.
    ///   - options: How the stream is loaded.
    ///   - addedBlocks: Asked for further blocks when the stream names one that is not there, since
    ///     the guest was given memory while it moved.
    public convenience init(
        blocks: [MigratedBlock], from source: FileDescriptor, options: DestinationOptions,
        addedBlocks: @escaping @Sendable () -> [MigratedBlock] = { [] }
    ) {
        self.init(
            blocks: blocks, socket: StreamSocket(OwnedDescriptor(source)), options: options,
            addedBlocks: addedBlocks)
    }

    init(
        blocks: [MigratedBlock], socket: StreamSocket, options: DestinationOptions,
        addedBlocks: @escaping @Sendable () -> [MigratedBlock] = { [] }
    ) {
        self.blocks = blocks
        self.socket = socket
        self.options = options
        self.addedBlocks = addedBlocks
    }

    /// What was loaded so far; any thread may ask.
    public var statistics: DestinationStatistics { state.withLock { $0.statistics } }

    /// Ends the load: ``run()`` throws an error of kind `cancelled`, and the source's guest runs
    /// on.
    ///
    /// Any thread may call it.
    public func cancel() {
        state.withLock { $0.isCancelled = true }
        socket.shutdown(.both)
    }

    /// Loads the stream on a thread of its own.
    ///
    /// Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What was loaded; the guest may start.
    /// - Throws: `MigrationError`; the guest must not start, and the source was told if it listens.
    public func run() async throws(MigrationError) -> DestinationStatistics {
        let outcome = await withTaskCancellationHandler {
            await MigrationThread.run("roost-load") { () throws(MigrationError) in
                try self.load()
            }
        } onCancel: {
            cancel()
        }
        socket.shutdown(.both)
        if case .failure(let failure) = outcome {
            guard !state.withLock({ $0.isCancelled }) else {
                throw MigrationError(
                    .cancelled, "the load was cancelled; the source keeps its guest")
            }
            throw failure
        }
        return statistics
    }

    private func load() throws(MigrationError) {
        var loader = DestinationLoader(
            try GuestMemory(blocks: blocks, maximumByteCount: options.maximumRAMByteCount), options)
        loader.addedBlocks = addedBlocks
        do throws(MigrationError) {
            try read(into: &loader)
            try loader.verify()
            publish(&loader)
        } catch {
            loader.stop()
            if loader.opensReturnPath { try? answer(ReturnPath.Message.shut, 1) }
            throw error
        }
        loader.stop()
        if loader.opensReturnPath {
            try answer(ReturnPath.Message.shut, 0)
            // The source closes when it has read the answer.
            socket.shutdown(.writing)
        }
    }

    private func read(into loader: inout DestinationLoader) throws(MigrationError) {
        var input = ByteQueue(capacity: 1 << 20)
        var reader = StreamReader(maximumRAMByteCount: options.maximumRAMByteCount)
        while try fill(&input) {
            try reader.consume(input.bytes, into: &loader)
            input.removeAll()
            loader.count(streamBytes: reader.streamOffset)
            publish(&loader)
            if let ping = loader.unansweredPing.take(), loader.opensReturnPath {
                try answer(ReturnPath.Message.pong, ping)
            }
            guard reader.isPastMemory, loader.opensReturnPath, reader.isWhole() else { continue }
            if reader.hasDescription { return }
            let limit = ContinuousClock.now + Self.descriptionLimit
            guard socket.wait(for: .input, until: limit).contains(.this) else { return }
        }
        _ = try reader.finish()
    }

    private func fill(_ input: inout ByteQueue) throws(MigrationError) -> Bool {
        do throws(Errno) {
            return try input.fill(from: socket.descriptor) > 0
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "the connection to the source broke (\(error)): its guest runs on there, move it "
                    + "again")
        }
    }

    private func publish(_ loader: inout DestinationLoader) {
        let statistics = loader.statistics
        state.withLock { $0.statistics = statistics }
    }

    private func answer(_ type: UInt16, _ value: UInt32) throws(MigrationError) {
        let message = ReturnPath.message(type, value)
        do throws(SystemError) {
            try socket.send(message.bytes)
        } catch {
            throw MigrationError(
                .transfer, errno: error.errno,
                "the source cannot be told that its guest was loaded (\(error.description)): see "
                    + "that it runs there, and move it again")
        }
    }
}
