internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// To a QEMU and back.
extension MigrationReceiver {
    func deliver(to socket: StreamSocket) async {
        async let answers = ending.run("roost-answers") { () throws(MigrationError) in
            try self.carryAnswers(from: socket)
        }
        _ = await ending.run("roost-receive") { () throws(MigrationError) in
            try self.write(to: socket)
        }
        // Ends when the destination closes, which it does when it has loaded or failed.
        _ = await answers
    }

    private func write(to socket: StreamSocket) throws(MigrationError) {
        try takeFrames { queue throws(MigrationError) in
            while !queue.isEmpty {
                let sent: Int
                do throws(Errno) {
                    sent = try socket.sendNow(queue.bytes)
                } catch {
                    try ending.check()
                    throw MigrationError(
                        .transfer, errno: error, "\(Self.closedText): \(error)")
                }
                queue.removeFirst(sent)
                if sent == 0 { try wire.waitForOutput(of: socket) }
            }
        }
        // Without a return path QEMU waits for nothing more, and closes when it has loaded.
        if !state.withLock({ $0.opensReturnPath }) { socket.shutdown(.writing) }
        let isComplete = state.withLock { state in
            state.isHandedOn = true
            return state.isDestinationClosed
        }
        if isComplete { try conclude() } else { try listen() }
    }

    /// Listens to the relay while the destination loads: one that fails now may not be too late.
    private func listen() throws(MigrationError) {
        try frames.withLock { reader throws(MigrationError) in
            // The relay's end of input is no failure: the destination has all that it needs.
            while let frame = try? wire.receive(&reader) {
                guard frame.kind == .failed else { throw StreamAssembler.unexpected(frame.kind) }
                ending.explain(Self.failure(reader.text(of: frame)))
            }
        }
    }

    /// Decides about a stream that was handed on, to a destination that has closed.
    private func conclude() throws(MigrationError) {
        let (opensReturnPath, reset) = state.withLock { ($0.opensReturnPath, $0.reset) }
        let verdict = returnPath.withLock { $0.verdict }
        guard opensReturnPath ? verdict == 0 : reset == nil else {
            throw MigrationError(
                .peer, errno: reset,
                "the destination QEMU did not take the guest; its standard error says why")
        }
        try ending.settle()
        ending.finish()
    }

    /// Takes the destination's word that it has everything, once that can be.
    private func settle() throws(MigrationError) {
        guard state.withLock({ $0.statistics.isPastMemory }) else {
            throw MigrationError(
                .peer, "the destination QEMU says it has the guest, whose memory is still to come")
        }
        try ending.settle()
    }

    /// Carries the destination's answers back until it closes the connection.
    private func carryAnswers(from socket: StreamSocket) throws(MigrationError) {
        var input = ByteQueue(capacity: WireFormat.answerLimit)
        var reset: Errno?
        while true {
            do throws(Errno) {
                guard try input.fill(from: socket.descriptor) > 0 else { break }
            } catch {
                // A QEMU that exits with bytes unread resets the connection.
                reset = error
                break
            }
            try ending.check()
            guard returnPath.withLock({ $0.follow(input.bytes) }) else {
                throw MigrationError(.peer, "the destination QEMU answers nonsense")
            }
            // It has the guest, and the source lets go of it when it hears that.
            if returnPath.withLock({ $0.verdict }) == 0 { try settle() }
            try wire.send { $0.frame(.answer, input.bytes) }
            input.removeAll()
        }
        try ending.check()
        let (isHandedOn, isPastMemory) = state.withLock { state in
            state.isDestinationClosed = true
            state.reset = reset
            return (state.isHandedOn, state.statistics.isPastMemory)
        }
        // Past its memory the stream may be whole without END having come.
        guard isPastMemory else { throw MigrationError(.transfer, errno: reset, Self.closedText) }
        if isHandedOn { try conclude() }
    }

    private static let closedText =
        "the destination QEMU closed the connection before it had the whole stream; its standard "
        + "error says why"
}
