internal import RoostMemory
package import RoostSystem
internal import Synchronization
public import SystemPackage

/// The destination's end of a move through Roost: Roost's wire in, QEMU's stream out.
///
/// The stream goes to a QEMU that waits for it or to a file. A stream that goes to a file is
/// answered here, once the file is whole and on disk, so a source that has its return path on
/// does not let go of the guest before.
///
///     let receiver = MigrationReceiver(wire: accepted, destination: connected, options: options)
///     let moved = try await receiver.run()
///
/// ## Theory of operation
///
/// One thread takes frames, keeps the memory and writes the stream; another carries QEMU's
/// answers back. A move is complete when the stream was handed on whole and, where QEMU answers,
/// its last answer said that it has loaded everything; where it does not, when it has read
/// everything and closed. Until then any failure breaks the stream off, so that QEMU starts
/// nothing.
///
/// Any thread may call any method.
public final class MigrationReceiver: Sendable {
    /// How long the destination QEMU may take to accept a connection.
    static let connectLimit = Duration.seconds(10)

    /// Where the stream goes, which is opened when the relay has said HELLO.
    package enum Output: Sendable {
        /// A QEMU that listens at an endpoint.
        case endpoint(Endpoint)
        /// A connection to a QEMU.
        case socket(StreamSocket)
        /// A file, which appears under its name when it is whole.
        case file(String, mayReplace: Bool = false)
    }

    struct State {
        var statistics = RelayStatistics()
        var hasRun = false
        var opensReturnPath = false
        /// Whether the stream was handed on whole.
        var isHandedOn = false
        /// Whether the destination has closed its connection, and how.
        var isDestinationClosed = false
        var reset: Errno?
    }

    let wire: WireConnection
    private let output: Output
    private let options: RelayOptions
    let ending: MoveEnding
    let state = Mutex(State())
    let returnPath = Mutex(ReturnPath())
    /// Each is held by one thread for as long as that runs.
    let frames = Mutex(FrameReader())
    private let assembler: Mutex<StreamAssembler>

    /// Makes a receiver that writes to a file.
    ///
    /// - Parameters:
    ///   - wire: A connected stream socket that blocks, at whose other end a ``MigrationRelay``
    ///     is. The receiver owns it from then on.
    ///   - file: The file to write, or `-` for the standard output. One that exists and is not
    ///     empty is refused.
    ///   - options: The limits.
    public convenience init(wire: FileDescriptor, file: String, options: RelayOptions) {
        self.init(
            wire: StreamSocket(OwnedDescriptor(wire)), output: .file(file), options: options)
    }

    /// Makes a receiver that writes to a QEMU.
    ///
    /// - Parameters:
    ///   - wire: A connected stream socket that blocks, at whose other end a ``MigrationRelay``
    ///     is. The receiver owns it from then on.
    ///   - destination: A connected stream socket that blocks, at whose other end QEMU waits for
    ///     its guest. The receiver owns it from then on.
    ///   - options: The limits.
    public convenience init(
        wire: FileDescriptor, destination: FileDescriptor, options: RelayOptions
    ) {
        self.init(
            wire: StreamSocket(OwnedDescriptor(wire)),
            output: .socket(StreamSocket(OwnedDescriptor(destination))), options: options)
    }

    package convenience init(wire: StreamSocket, output: Output, options: RelayOptions) {
        self.init(wire: wire, output: output, options: options, grace: MoveEnding.defaultGrace)
    }

    init(wire: StreamSocket, output: Output, options: RelayOptions, grace: Duration) {
        ending = MoveEnding(grace: grace)
        if case .socket(let destination) = output { ending.attach(destination) }
        self.wire = WireConnection(wire, ending)
        self.output = output
        self.options = options
        let isStored = if case .file = output { true } else { false }
        assembler = Mutex(
            StreamAssembler(
                maximumRAMByteCount: options.maximumRAMByteCount, isStored: isStored))
    }

    /// What was moved so far, during the move and after it.
    public var statistics: RelayStatistics { state.withLock { $0.statistics } }

    /// Ends the move: the destination's QEMU gives up, a file is taken away.
    ///
    /// May be called at any time, before ``run()`` too, and returns at once; ``run()`` then throws
    /// an error of kind `cancelled`. Does nothing to a move that is complete, or of which the
    /// destination has said that it is. A destination without a return path says nothing: one
    /// that has read everything may start the guest although the move is cancelled.
    public func cancel() {
        ending.fail(MigrationError(.cancelled, "the receiving side was told to stop"))
    }

    /// Carries the move to its end.
    ///
    /// Blocking work is done on threads of its own, which have ended when it returns; both
    /// connections are shut then, and a file that is not whole is gone. After a failure the other
    /// side is given at most five seconds to hear the reason. Cancelling the task is ``cancel()``.
    ///
    /// - Returns: What was moved.
    /// - Throws: `MigrationError`: what ended the move first, from either side. An error of kind
    ///   `transfer` for ``RelayOptions/dumpFolder`` comes after the move, which is complete then.
    /// - Precondition: It is called once.
    public func run() async throws(MigrationError) -> RelayStatistics {
        let isFirst = state.withLock { state in
            defer { state.hasRun = true }
            return !state.hasRun
        }
        precondition(isFirst, "a receiver takes one move")
        await withTaskCancellationHandler {
            await carry()
        } onCancel: {
            cancel()
        }
        if let failure = ending.failure { throw failure }
        try await dump()
        return statistics
    }

    private func carry() async {
        var destination: StreamSocket?
        switch output {
        case .file(let path, let mayReplace):
            _ = await ending.run("roost-receive") { () throws(MigrationError) in
                try self.greet()
                try self.store(path, mayReplace: mayReplace)
            }
        case .endpoint(let endpoint):
            let connected = Mutex<StreamSocket?>(nil)
            _ = await ending.run("roost-receive") { () throws(MigrationError) in
                try self.greet()
                let socket = try Self.connect(to: endpoint)
                connected.withLock { $0 = socket }
            }
            destination = connected.withLock { $0 }
        case .socket(let socket):
            _ = await ending.run("roost-receive") { () throws(MigrationError) in try self.greet() }
            destination = socket
        }
        if let destination {
            ending.attach(destination)
            if ending.failure == nil { await deliver(to: destination) }
        }
        ending.finish()
        _ = await ending.run("roost-receive") { () throws(MigrationError) in self.end() }
        destination?.shutdown(.both)
        wire.socket.shutdown(.both)
    }

    private func greet() throws(MigrationError) {
        try ending.checkUsable()
        try ending.check()
        try wire.send { $0.hello() }
        let deadline = ContinuousClock.now + MigrationRelay.greetingLimit
        try frames.withLock { reader throws(MigrationError) in
            guard let frame = try wire.receive(&reader, until: deadline) else {
                return ending.suspect(
                    MigrationError(
                        .peer,
                        "whoever connected went away without a word: connect roost migrate relay "
                            + "here"))
            }
            if frame.kind == .failed { ending.explain(Self.failure(reader.text(of: frame))) }
        }
        try ending.check()
    }

    private static func connect(to endpoint: Endpoint) throws(MigrationError) -> StreamSocket {
        do throws(SystemError) {
            let socket = try StreamSocket.connect(to: endpoint, timeout: connectLimit)
            if case .unix = endpoint { try socket.checkPeerIsTrusted() }
            return socket
        } catch {
            throw MigrationError(
                .transfer, errno: error.errno, "no destination QEMU: \(error.description)")
        }
    }

    /// Tells the other side how this one ended, hears the same from it, and closes.
    private func end() {
        if let failure = ending.untold {
            try? wire.send { $0.failed(failure.description) }
        } else if ending.failure == nil {
            // A relay that does not hear it knows by the last answer, where there is one.
            try? wire.send { $0.frame(.complete) }
        }
        let sentence = frames.withLock { wire.close(&$0) }
        if let sentence { ending.explain(Self.failure(sentence)) }
    }

    // MARK: Frames

    /// Takes frames until the stream is whole.
    ///
    /// - Parameter write: Writes the stream's bytes to where they go.
    /// - Throws: What ended the move, or `MigrationError` for frames that do not fit.
    func takeFrames(
        write: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        try wire.send { $0.frame(.ready) }
        try assembler.withLock { assembler throws(MigrationError) in
            try frames.withLock { reader throws(MigrationError) in
                try takeFrames(&reader, into: &assembler, write: write)
            }
        }
    }

    private func takeFrames(
        _ reader: inout FrameReader, into assembler: inout StreamAssembler,
        write: (inout ByteQueue) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        var unacknowledged: UInt64 = 0
        var streamBytes: UInt64 = 0
        func flush(_ queue: inout ByteQueue) throws(MigrationError) {
            // One frame of zero pages can make gigabytes.
            try ending.check()
            streamBytes += UInt64(queue.count)
            try write(&queue)
        }
        while let frame = try wire.receive(&reader) {
            if frame.kind == .failed {
                ending.explain(Self.failure(reader.text(of: frame)))
                return try ending.check()
            }
            try assembler.take(
                frame.kind, reader.input.bytes.extracting(frame.payload), at: reader.byteCount,
                flush: flush)
            if let ping = assembler.unansweredPing.take() {
                try answer(ReturnPath.Message.pong, ping)
            }
            let isLast = frame.kind == .end
            unacknowledged += 1
            // What arrived in one piece is handed on in one piece.
            guard
                isLast || !reader.hasWholeFrame
                    || unacknowledged >= WireFormat.acknowledgeEvery
            else { continue }
            update(assembler, wireBytes: reader.takenByteCount, streamBytes: streamBytes)
            try flush(&assembler.writer.output)
            let sequence = reader.sequence - 1
            try wire.send { $0.acknowledge(sequence) }
            unacknowledged = 0
            update(assembler, wireBytes: reader.takenByteCount, streamBytes: streamBytes)
            if isLast { return }
        }
        ending.suspect(
            MigrationError(
                .peer,
                "the sending relay went away before the stream was whole; nothing of it was "
                    + "started"))
        try ending.check()
    }

    private func update(
        _ assembler: borrowing StreamAssembler, wireBytes: UInt64, streamBytes: UInt64
    ) {
        let statistics = assembler.statistics
        let opensReturnPath = assembler.opensReturnPath
        state.withLock { state in
            state.statistics = statistics
            state.statistics.wireBytes = wireBytes
            state.statistics.streamBytes = streamBytes
            state.opensReturnPath = opensReturnPath
        }
    }

    private func answer(_ type: UInt16, _ value: UInt32) throws(MigrationError) {
        let message = ReturnPath.message(type, value)
        try wire.send { $0.frame(.answer, message.bytes) }
    }

    // MARK: To a file

    private func store(_ path: String, mayReplace: Bool) throws(MigrationError) {
        let file = try OutputFile.open(path, mayReplace: mayReplace)
        try takeFrames { queue throws(MigrationError) in try file.write(&queue) }
        try file.finish()
        try ending.settle()
        if state.withLock({ $0.opensReturnPath }) { try answer(ReturnPath.Message.shut, 0) }
    }

    private func dump() async throws(MigrationError) {
        guard let folder = options.dumpFolder else { return }
        try await MoveEnding.dump(of: "the guest has arrived") { () throws(MigrationError) in
            try self.assembler.withLock { assembler throws(MigrationError) in
                try assembler.memory?.dump(to: folder)
            }
        }
    }

    static func failure(_ text: String) -> MigrationError {
        MigrationError(.peer, "the sending side says: \(text)")
    }
}
