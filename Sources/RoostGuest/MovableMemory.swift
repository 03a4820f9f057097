internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Memory of this process that Roost can move to another process while this one runs.
///
/// One call of ``open(blocks:socket:incoming:whenListening:)`` is all that a process needs. A
/// thread then serves one mover at a time over a unix socket: it describes the blocks and passes
/// their memory files and, when asked, a userfaultfd, with which the mover tracks what is written.
/// Nothing that the mover sends or fails to do can harm this process, and when it goes, the
/// kernel ends what it set up.
///
/// What does not move is everything outside the blocks: registers, stacks, descriptors. A process
/// whose whole state is in its blocks goes on at the other end where it was stopped here.
public final class MovableMemory: Sendable {
    private struct State {
        var blocks: [MovableBlock]
        var connection: StreamSocket?
        /// How many of the blocks the mover that is connected was told of.
        var told = 0
        var isClosed = false
    }

    /// How long a new block waits for a mover to take notice of it.
    private static let noticeLimit = Duration.seconds(1)

    private let state: Mutex<State>
    private let listener: Listener
    /// Readable at `wakeReader` after something was written to `wakeWriter`: there is a new block.
    private let wakeReader: StreamSocket
    private let wakeWriter: StreamSocket
    private let stop: StopSignal

    private init(_ blocks: [MovableBlock], _ path: String) throws(GuestError) {
        state = Mutex(State(blocks: blocks))
        do throws(SystemError) {
            (wakeReader, wakeWriter) = try StreamSocket.pair()
        } catch {
            throw GuestError(error)
        }
        do throws(Errno) {
            stop = try StopSignal()
        } catch {
            throw GuestError(.socket, errno: error, "cannot make a signal: \(error)")
        }
        do throws(SystemError) {
            listener = try Listener(on: .unix(path: path))
        } catch {
            throw GuestError(error)
        }
    }

    /// Makes blocks of memory that can move, and listens for a mover.
    ///
    /// - Parameters:
    ///   - blocks: The name and the size of each block; sizes are positive and whole pages.
    ///   - path: Where to listen: a unix socket that only this user and root can use.
    ///   - incoming: Whether the memory comes from elsewhere. The call then returns when it has
    ///     arrived; an attempt that breaks off leaves the memory zero and the call waiting.
    ///   - whenListening: Is called once a mover can connect.
    /// - Returns: The memory, zero or as it arrived.
    /// - Throws: `GuestError`.
    public static func open(
        blocks: [(name: String, byteCount: Int)], socket path: String, incoming: Bool = false,
        whenListening: () -> Void = {}
    ) throws(GuestError) -> MovableMemory {
        var made: [MovableBlock] = []
        for block in blocks {
            try checkRoom(for: block.name, in: made)
            made.append(try MovableBlock(name: block.name, byteCount: block.byteCount))
        }
        let memory = try MovableMemory(made, path)
        whenListening()
        var connection: StreamSocket?
        if incoming { connection = try memory.waitForArrival() }
        let first = connection
        let listener = memory.listener
        let stop = memory.stop
        // The thread does not keep the memory: it asks for it at each connection.
        let failure = DedicatedThread.start(name: "movable-memory") { [weak memory] in
            var next = first
            while true {
                let taken = next ?? (try? listener.accept())
                next = nil
                guard !stop.isRaised, let connection = taken, let memory else { return }
                _ = memory.serve(connection, isArriving: false, greet: first !== connection)
            }
        }
        if let failure { throw GuestError(failure) }
        return memory
    }

    /// The blocks, in the order in which they were made.
    public var blocks: [MovableBlock] { state.withLock { $0.blocks } }

    /// Makes another block while the process runs; a mover that is connected is told at once.
    ///
    /// When the call returns the mover's connection holds the news, so a process that is stopped
    /// from then on moves with the block. A mover that reads nothing delays the call by a second.
    ///
    /// - Parameters:
    ///   - name: Its name, which no other block has.
    ///   - byteCount: Its size: positive, whole pages.
    /// - Returns: The block, zero.
    /// - Throws: `GuestError` of kind `block`.
    @discardableResult
    public func add(name: String, byteCount: Int) throws(GuestError) -> MovableBlock {
        let block = try MovableBlock(name: name, byteCount: byteCount)
        let result = state.withLock { state -> Result<Int, GuestError> in
            do throws(GuestError) {
                try Self.checkRoom(for: name, in: state.blocks)
            } catch {
                return .failure(error)
            }
            state.blocks.append(block)
            return .success(state.blocks.count)
        }
        let count = try result.get()
        let byte: [1 of UInt8] = [0]
        // SAFETY: a byte is a plain value. Where there is no room, a wake-up is on its way already.
        _ = try? wakeWriter.sendNow(unsafe byte.span.bytes)
        let deadline = ContinuousClock.now + Self.noticeLimit
        while state.withLock({ $0.connection != nil && $0.told < count }),
            ContinuousClock.now < deadline
        {
            ThisProcess.sleep(.microseconds(50))
        }
        return block
    }

    /// Stops listening and lets a mover go; the blocks stay.
    public func close() {
        stop.raise()
        listener.stop()
        state.withLock { state in
            state.isClosed = true
            state.connection?.shutdown(.both)
        }
    }

    deinit {
        close()
    }

    private static func checkRoom(
        for name: String, in blocks: [MovableBlock]
    ) throws(GuestError) {
        guard blocks.count < GuestProtocol.maximumBlockCount else {
            throw GuestError(
                .block, "a guest has at most \(GuestProtocol.maximumBlockCount) blocks")
        }
        guard !blocks.contains(where: { $0.name == name }) else {
            throw GuestError(.block, "there is a block '\(name)' already: name each differently")
        }
    }
}

// MARK: - Serving a mover

extension MovableMemory {
    private enum Ending {
        case arrived, ended
    }

    /// Serves destinations until one has brought the memory; its connection goes on.
    private func waitForArrival() throws(GuestError) -> StreamSocket {
        while true {
            let connection: StreamSocket
            do throws(SystemError) {
                connection = try listener.accept()
            } catch {
                throw GuestError(error)
            }
            if serve(connection, isArriving: true, greet: true) == .arrived { return connection }
            for block in blocks {
                do throws(MemoryError) {
                    try block.file.discardAll()
                } catch {
                    throw GuestError(error)
                }
            }
        }
    }

    /// Serves one mover until it goes, or has brought the memory.
    private func serve(_ connection: StreamSocket, isArriving: Bool, greet: Bool) -> Ending {
        let isOpen = state.withLock { state in
            state.connection = state.isClosed ? nil : connection
            state.told = greet ? 0 : state.blocks.count
            return !state.isClosed
        }
        defer { state.withLock { $0.connection = nil } }
        guard isOpen else { return .ended }
        // Whatever goes wrong concerns the mover alone: its connection ends.
        do throws(SystemError) {
            try connection.checkPeerIsTrusted()
            let told = greet ? try self.greet(connection, isArriving: isArriving) : blocks.count
            let ending = try answer(connection, told: told, isArriving: isArriving)
            if ending == .arrived { return .arrived }
        } catch {
            connection.shutdown(.both)
            return .ended
        }
        connection.shutdown(.both)
        return .ended
    }

    /// Says who this is and which blocks there are.
    ///
    /// - Returns: How many blocks the mover knows now.
    private func greet(
        _ connection: StreamSocket, isArriving: Bool
    ) throws(SystemError) -> Int {
        let hello = GuestMessage.hello(
            version: GuestProtocol.version, processID: UInt64(Self.processID),
            awaitsArrival: isArriving)
        let pagemap = try Self.openPagemap()
        try hello.send(to: connection, passing: pagemap.descriptor)
        let known = try describe(from: 0, to: connection)
        try GuestMessage.complete.send(to: connection)
        return known
    }

    private func describe(
        from first: Int, to connection: StreamSocket
    ) throws(SystemError) -> Int {
        let blocks = blocks
        for block in blocks.dropFirst(first) {
            let message = GuestMessage.block(
                name: block.name, baseAddress: block.memory.address(of: 0),
                byteCount: UInt64(block.byteCount))
            try message.send(to: connection, passing: block.file.descriptor)
        }
        state.withLock { $0.told = blocks.count }
        return blocks.count
    }

    private func answer(
        _ connection: StreamSocket, told: Int, isArriving: Bool
    ) throws(SystemError) -> Ending {
        var told = told
        while true {
            let ready = connection.wait(for: .input, or: (wakeReader, .input), unless: stop)
            if ready.contains(.other) { try drain(wakeReader) }
            // Also without a wake-up: one may have been taken by the connection before.
            told = try describe(from: told, to: connection)
            guard !stop.isRaised else { return .ended }
            guard ready.contains(.this) else { continue }
            guard let byte = try receiveByte(connection) else { return .ended }
            switch GuestProtocol.Request(rawValue: byte) {
            case .trackAsynchronously:
                try offerProtection(.asynchronous, .trackAsynchronously, to: connection)
            case .trackSynchronously:
                try offerProtection(.synchronous, .trackSynchronously, to: connection)
            case .arrived:
                let failure: Errno? = isArriving ? nil : .invalidArgument
                try GuestMessage.answer(.arrived, failure: failure).send(to: connection)
                if isArriving { return .arrived }
            case nil:
                return .ended
            }
        }
    }

    /// Passes a userfaultfd and keeps no copy of it: see ``GuestProtocol``.
    private func offerProtection(
        _ mode: WriteProtection.Mode, _ request: GuestProtocol.Request, to connection: StreamSocket
    ) throws(SystemError) {
        do throws(Errno) {
            let protection = try WriteProtection.open(mode)
            try? GuestMessage.answer(request, failure: nil)
                .send(to: connection, passing: protection.descriptor)
        } catch {
            try GuestMessage.answer(request, failure: error).send(to: connection)
        }
    }

    private func drain(_ socket: StreamSocket) throws(SystemError) {
        _ = try receiveByte(socket)
    }

    private func receiveByte(_ socket: StreamSocket) throws(SystemError) -> UInt8? {
        var byte: [1 of UInt8] = [0]
        var bytes = byte.mutableSpan
        // SAFETY: bytes are plain values.
        var target = unsafe bytes.mutableBytes
        let received = try socket.receive(into: &target)
        let count = received.byteCount
        return count == 0 ? nil : byte[0]
    }

    private static var processID: Int32 { ThisProcess.processID }

    private static func openPagemap() throws(SystemError) -> OwnedDescriptor {
        do {
            return OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath("/proc/self/pagemap"), .readOnly, options: .closeOnExec))
        } catch {
            throw SystemError(.transfer, "cannot open /proc/self/pagemap: \(error)")
        }
    }
}
