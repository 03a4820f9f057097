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
    private struct State {
        var statistics = DestinationStatistics()
        var isCancelled = false
        /// Whether the source was told that all was loaded.
        var isAnswered = false
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
    /// on; too late once the source was told that all was loaded.
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
            guard !state.withLock({ $0.isCancelled && !$0.isAnswered }) else {
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
        var reader = StreamReader(maximumRAMByteCount: options.maximumRAMByteCount)
        do throws(MigrationError) {
            var input = ByteQueue(capacity: 1 << 20)
            var isAnswered = false
            while !isAnswered, try read(&input, &reader, into: &loader) {
                guard loader.opensReturnPath, reader.isWhole() else { continue }
                try accept(&loader)
                isAnswered = true
            }
            if !isAnswered {
                _ = try reader.finish()
                try accept(&loader)
            } else if !reader.hasDescription {
                // It closes when it has read the answer. What looked like the mark may have been the
                // state of a device, in which it broke off.
                let before = reader.streamOffset
                while try read(&input, &reader, into: &loader) {}
                let hasMore = reader.streamOffset > before
                _ = try reader.finish()
                if hasMore { try loader.verify() }
            }
        } catch {
            loader.stop()
            guard loader.opensReturnPath else { throw error }
            guard !state.withLock({ $0.isAnswered }) else { throw Self.late(error) }
            try? answer(ReturnPath.Message.shut, 1)
            throw error
        }
        loader.stop()
        // The source closes when it has read the answer.
        if loader.opensReturnPath { socket.shutdown(.writing) }
    }

    /// Says that all was loaded.
    ///
    /// Whoever opened a return path heeds what comes on it only when it has sent everything. So this
    /// may be said at a mark with which the stream is whole, without knowing whether the description
    /// of its devices follows, for which nothing in the stream stands.
    private func accept(_ loader: inout DestinationLoader) throws(MigrationError) {
        try loader.verify()
        publish(&loader)
        guard loader.opensReturnPath else { return }
        try answer(ReturnPath.Message.shut, 0)
        state.withLock { $0.isAnswered = true }
    }

    private static func late(_ error: MigrationError) -> MigrationError {
        MigrationError(
            error.kind, streamOffset: error.streamOffset, errno: error.errno,
            "the source was told that its guest was loaded, but then: \(error.description); see there "
                + "whether the guest runs (query-status), nothing was started here")
    }

    /// Reads on.
    ///
    /// - Returns: `false` when the source has closed.
    private func read(
        _ input: inout ByteQueue, _ reader: inout StreamReader, into loader: inout DestinationLoader
    ) throws(MigrationError) -> Bool {
        guard try fill(&input) else { return false }
        try reader.consume(input.bytes, into: &loader)
        input.removeAll()
        loader.count(streamBytes: reader.streamOffset)
        publish(&loader)
        if let ping = loader.unansweredPing.take(), loader.opensReturnPath {
            try answer(ReturnPath.Message.pong, ping)
        }
        return true
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
