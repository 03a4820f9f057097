internal import Glibc
internal import RoostGuest
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A guest that is another process of this host, which uses `RoostGuest`.
///
/// The guest is told apart by who listens on its socket. Its memory files are mapped here; it is
/// stopped by signals through a process descriptor, and continued by a small process of its own,
/// `roost-keeper`, should this one be killed while the guest stands still.
///
/// Methods are called from the engine's thread unless they say otherwise. While a guest is paused
/// it answers nothing, so ``tracker(_:passedOver:)``, ``arrived()`` and ``newBlocks()`` are for one
/// that runs.
public final class ProcessGuest: MigrationGuest {
    /// How long a guest may take to answer.
    static let answerLimit = Duration.seconds(10)

    let process: GuestProcess
    let socket: StreamSocket
    private let pagemapFile: OwnedDescriptor
    private let known: Mutex<[GuestBlock]>
    /// How many of the blocks ``newBlocks()`` has told of.
    private let told = Atomic<Int>(0)

    /// Whether the guest waits for its memory to arrive.
    public let awaitsArrival: Bool

    /// The guest's process number.
    public var processID: Int32 { process.handle.processID }

    /// The guest's blocks, in the order in which it made them.
    public var blocks: [GuestBlock] { known.withLock { $0 } }

    /// The guest's own view of its memory.
    var pagemap: FileDescriptor { pagemapFile.descriptor }

    private init(
        _ process: GuestProcess, _ socket: StreamSocket, _ pagemap: consuming OwnedDescriptor,
        _ blocks: [GuestBlock], _ awaitsArrival: Bool
    ) {
        self.process = process
        self.socket = socket
        pagemapFile = pagemap
        known = Mutex(blocks)
        told.store(blocks.count, ordering: .relaxed)
        self.awaitsArrival = awaitsArrival
    }

    /// Connects to a guest and learns its blocks.
    ///
    /// - Parameter path: The unix socket that the guest listens on.
    /// - Returns: The guest.
    /// - Throws: `MigrationError` of kind `transfer` when nobody answers there, `peer` or `guest`
    ///   when what answers is no guest of this version.
    public static func connect(to path: String) throws(MigrationError) -> ProcessGuest {
        let socket: StreamSocket
        let process: GuestProcess
        do throws(SystemError) {
            socket = try StreamSocket.connect(to: .unix(path: path), timeout: answerLimit)
            try socket.checkPeerIsTrusted()
            // The system vouches for this number, in this process's own numbering.
            process = try GuestProcess.of(socket)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        var hello = try receive(socket, process)
        guard case .hello(let version, _, let awaitsArrival) = hello.message,
            let pagemap = hello.passed.take()
        else {
            throw MigrationError(.peer, "what listens on \(path) does not greet as a guest does")
        }
        guard version == GuestProtocol.version else {
            throw MigrationError(
                .unsupported,
                "the guest speaks version \(version) and this Roost \(GuestProtocol.version): "
                    + "build both from one release")
        }
        var blocks: [GuestBlock] = []
        while true {
            let received = try receive(socket, process)
            if case .complete = received.message { break }
            blocks.append(try block(received, besides: blocks))
        }
        return ProcessGuest(process, socket, pagemap, blocks, awaitsArrival)
    }

    private static func receive(
        _ socket: StreamSocket, _ process: GuestProcess
    ) throws(MigrationError) -> ReceivedMessage {
        let deadline = ContinuousClock.now + answerLimit
        guard !socket.wait(for: .input, until: deadline).isEmpty else {
            throw MigrationError(
                .timeout,
                "the guest, process \(process.handle.processID), does not answer: see that it is "
                    + "not stopped and that nobody else is connected to it")
        }
        do throws(SystemError) {
            guard let message = try GuestMessage.receive(from: socket) else {
                throw process.handle.waitForEnd(within: .zero)
                    ? SystemError(.transfer, process.ended().description)
                    : SystemError(.transfer, "the guest closed the connection")
            }
            return message
        } catch {
            throw MigrationError(.guest, errno: error.errno, error.description)
        }
    }

    private static func block(
        _ received: consuming ReceivedMessage, besides others: [GuestBlock]
    ) throws(MigrationError) -> GuestBlock {
        guard case .block(let name, let baseAddress, let byteCount) = received.message,
            let file = received.passed.take()
        else {
            throw MigrationError(.guest, "the guest describes its blocks in another order")
        }
        guard others.count < GuestProtocol.maximumBlockCount,
            !others.contains(where: { $0.name == name })
        else {
            throw MigrationError(
                .guest, block: name,
                "the guest's block '\(name)' is one too many, or the second "
                    + "of that name")
        }
        return try GuestBlock(
            name: name, baseAddress: baseAddress, byteCount: byteCount, file: file)
    }

    /// Blocks that the guest made since ``connect(to:)`` or the last call.
    ///
    /// - Returns: The blocks; most often none.
    /// - Throws: `MigrationError` of kind `guest`.
    public func newBlocks() throws(MigrationError) -> [GuestBlock] {
        while !socket.wait(for: .input, until: .now).isEmpty {
            try take(try Self.receive(socket, process))
        }
        let all = blocks
        let first = told.exchange(all.count, ordering: .relaxed)
        return Array(all[first...])
    }

    /// Keeps a block that came unasked.
    private func take(_ received: consuming ReceivedMessage) throws(MigrationError) {
        let block = try Self.block(received, besides: blocks)
        known.withLock { $0.append(block) }
    }

    /// As ``newBlocks()``, for a ``MigrationSource``.
    public func addedBlocks() throws(MigrationError) -> [MigratedBlock] {
        try newBlocks().map(\.migrated)
    }

    /// What the guest answered.
    private struct Answer: ~Copyable {
        let failure: Errno?
        var passed: OwnedDescriptor?
    }

    /// Asks for something and waits for the answer.
    private func ask(
        _ request: GuestProtocol.Request
    ) throws(MigrationError) -> Answer {
        let byte: [1 of UInt8] = [request.rawValue]
        do throws(SystemError) {
            // SAFETY: a byte is a plain value.
            try socket.send(unsafe byte.span.bytes)
        } catch {
            guard !process.handle.hasEnded else { throw process.ended(error.errno) }
            throw MigrationError(
                .guest, errno: error.errno,
                "the connection to the guest, process \(processID), is broken: \(error.description)"
            )
        }
        while true {
            var received = try Self.receive(socket, process)
            if case .answer(let answered, let failure) = received.message {
                guard answered == request else {
                    throw MigrationError(.guest, "the guest answered what was not asked")
                }
                return Answer(failure: failure, passed: received.passed.take())
            }
            try take(received)
        }
    }
}

// MARK: - Stopping and ending

extension ProcessGuest {
    /// Stops every thread of the guest by SIGSTOP, and waits until all of them stand still.
    ///
    /// A guest that is throttled through its control group stands still only when the group lets
    /// it run, so a throttle is lifted first.
    ///
    /// - Throws: `MigrationError` of kind `guest` or `transfer`; the guest runs on then.
    public func pause() throws(MigrationError) {
        try process.hold(.pause)
        do throws(MigrationError) {
            try process.waitUntilStopped()
        } catch {
            process.letGo(.pause)
            throw error
        }
    }

    /// Lets the guest go on by SIGCONT.
    public func resume() {
        process.stay()
    }

    /// Says that the guest may run elsewhere from now on.
    ///
    /// Nothing but ``resume()`` continues it here any more, not even the end of this process.
    ///
    /// To be called while the guest is paused, before the destination is told to run it, since
    /// from then on two could run.
    public func leave() {
        process.leave()
    }

    /// Ends the guest's process, after it moved away.
    ///
    /// - Throws: `MigrationError` of kind `guest` when it does not end.
    public func end() throws(MigrationError) {
        process.leave()
        // A process that has ended already is what is wanted.
        try? process.handle.signal(SIGKILL)
        guard process.handle.waitForEnd(within: GuestProcess.stopLimit) else {
            throw MigrationError(
                .guest, "the guest, process \(processID), does not end although it was killed")
        }
    }

    /// Tells a guest that waits for its memory to begin to run.
    ///
    /// - Throws: `MigrationError` of kind `guest`.
    public func arrived() throws(MigrationError) {
        if let failure = try ask(.arrived).failure {
            throw MigrationError(
                .guest, errno: failure,
                "the guest, process \(processID), runs already: start one with incoming memory")
        }
    }

    /// Asks for a userfaultfd of the guest.
    func protection(
        _ mode: WriteProtection.Mode
    ) throws(MigrationError) -> WriteProtection {
        var answer = try ask(
            mode == .asynchronous ? .trackAsynchronously : .trackSynchronously)
        let failure = answer.failure
        guard failure == nil, let passed = answer.passed.take() else {
            throw MigrationError(
                .unsupported, errno: failure,
                "the guest, process \(processID), cannot use userfaultfd(2) this way: "
                    + "\(failure.map { "\($0)" } ?? "it passed none")"
                    + (failure == .invalidArgument ? "; the kernel is older than 6.7" : ""))
        }
        return WriteProtection(passed.release())
    }

    /// A block by its name.
    func block(_ tracked: TrackedBlock) throws(MigrationError) -> GuestBlock {
        guard let block = blocks.first(where: { $0.name == tracked.name }),
            block.byteCount == tracked.pages.count * pageByteCount
        else {
            throw MigrationError(
                .mismatch, block: tracked.name,
                "the guest has no block '\(tracked.name)' of \(tracked.pages.count) pages")
        }
        return block
    }
}

extension GuestProcess {
    /// The process that listens at the other end of a unix socket.
    fileprivate static func of(_ socket: StreamSocket) throws(SystemError) -> GuestProcess {
        let peer = try socket.peerCredentials()
        do throws(MigrationError) {
            return try GuestProcess(peer.processID)
        } catch {
            throw SystemError(.credentials, errno: error.errno, error.description)
        }
    }
}
