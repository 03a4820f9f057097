internal import RoostMemory
package import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Sends a stored stream to a QEMU that waits for one (`-incoming`).
package enum StreamSender {
    /// Sends a file.
    ///
    /// The stream is checked as it goes. QEMU is given its end, at which it starts the guest, only when
    /// the whole file was read and found whole; one that is damaged or cut short is broken off before.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - socket: The connection to QEMU.
    ///   - maximumRAMByteCount: The most memory, in bytes, that the stream may announce.
    ///   - observer: Is told how far it is.
    /// - Returns: The stream's length in bytes, when QEMU has read all of it and closed.
    /// - Throws: `MigrationError`; of kind `cancelled` when the task was cancelled, which breaks
    ///   the stream off, and says whether QEMU had its end.
    package static func send(
        path: String, to socket: StreamSocket, maximumRAMByteCount: UInt64,
        _ observer: @escaping @Sendable (StreamProgress) -> Void
    ) async throws(MigrationError) -> UInt64 {
        let end = StreamEnd()
        let outcome = await withTaskCancellationHandler {
            await carry(path, socket, end, maximumRAMByteCount, observer)
        } onCancel: {
            end.cancel()
            socket.shutdown(.both)
        }
        guard !Task.isCancelled else { throw end.cancellation(of: path) }
        return try outcome.get()
    }

    private static func carry(
        _ path: String, _ socket: StreamSocket, _ end: StreamEnd, _ maximumRAMByteCount: UInt64,
        _ observer: @escaping @Sendable (StreamProgress) -> Void
    ) async -> Result<UInt64, MigrationError> {
        async let answers = MigrationThread.run("roost-answers") { () throws(MigrationError) in
            try drain(socket)
        }
        let sent = await MigrationThread.run("roost-send") { () throws(MigrationError) in
            try send(path, socket, end, maximumRAMByteCount, observer)
        }
        guard case .success = sent else {
            socket.shutdown(.both)
            _ = await answers
            return sent
        }
        socket.shutdown(.writing)
        // Ends when QEMU has loaded everything and closes.
        if case .failure(let failure) = await answers { return .failure(failure) }
        return sent
    }

    private static func send(
        _ path: String, _ socket: StreamSocket, _ end: StreamEnd, _ maximumRAMByteCount: UInt64,
        _ observer: (StreamProgress) -> Void
    ) throws(MigrationError) -> UInt64 {
        var input = try StreamInput.open(path: path)
        do throws(MigrationError) {
            return try send(&input, socket, end, maximumRAMByteCount, observer)
        } catch {
            let failure = error.about(input.name)
            guard !end.wasHandedOn else { throw failure }
            throw MigrationError(
                failure.kind, block: failure.block, blockOffset: failure.blockOffset,
                streamOffset: failure.streamOffset, errno: failure.errno,
                "\(failure); its end was not handed on, so QEMU has started nothing")
        }
    }

    private static func send(
        _ input: inout StreamInput, _ socket: StreamSocket, _ end: StreamEnd,
        _ maximumRAMByteCount: UInt64, _ observer: (StreamProgress) -> Void
    ) throws(MigrationError) -> UInt64 {
        var reader = StreamReader(maximumRAMByteCount: maximumRAMByteCount)
        var check = StoredStreamCheck()
        var holder = TailHolder()
        while !reader.hasEnded {
            let goesOn = try input.next { bytes throws(MigrationError) in
                try reader.consume(bytes, into: &check)
                let count = bytes.byteCount - Int(clamping: reader.trailingByteCount)
                guard count > 0 else { return }
                try holder.take(
                    bytes.extracting(0..<count), memoryEnd: reader.memoryEnd
                ) { piece throws(MigrationError) in
                    try deliver(piece, to: socket, reader.streamOffset)
                }
            }
            guard goesOn else { break }
            observer(StreamProgress(position: input.position, byteCount: input.byteCount))
        }
        // What lies behind is none of the destination's business, but a packed file that is damaged
        // there is not known to be what was saved.
        while try input.pump(into: &reader, &check) {
            guard !end.isCancelled else { break }
            observer(StreamProgress(position: input.position, byteCount: input.byteCount))
        }
        let byteCount = try reader.finish().streamByteCount
        guard end.begin() else { return byteCount }
        try holder.release(upTo: byteCount) { piece throws(MigrationError) in
            try deliver(piece, to: socket, byteCount)
        }
        return byteCount
    }

    private static func deliver(
        _ bytes: RawSpan, to socket: StreamSocket, _ offset: UInt64
    ) throws(MigrationError) {
        do throws(SystemError) {
            try socket.send(bytes)
        } catch {
            throw MigrationError(
                .transfer, errno: error.errno,
                "the destination QEMU closed the connection after \(offset) bytes; its standard error "
                    + "says why")
        }
    }

    /// Reads and forgets what QEMU answers, until it closes.
    private static func drain(_ socket: StreamSocket) throws(MigrationError) {
        var input = ByteQueue(capacity: 4096)
        do throws(Errno) {
            while try input.fill(from: socket.descriptor) > 0 { input.removeAll() }
        } catch {
            // A QEMU that exits with bytes unread resets the connection.
            throw MigrationError(
                .transfer, errno: error,
                "the destination QEMU closed the connection before it had read everything "
                    + "(\(error)); its standard error says why")
        }
    }
}

/// Whether a stream's end, at which QEMU starts the guest, was handed on before the sending was
/// cancelled.
private final class StreamEnd: Sendable {
    private struct State {
        var isCancelled = false
        var isHandedOn = false
    }

    private let state = Mutex(State())

    /// Whether QEMU may have the end.
    var wasHandedOn: Bool { state.withLock { $0.isHandedOn } }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    func cancel() { state.withLock { $0.isCancelled = true } }

    /// Asks to hand the end on.
    ///
    /// - Returns: `false` when it was cancelled: nothing more may be sent.
    func begin() -> Bool {
        state.withLock { state in
            guard !state.isCancelled else { return false }
            state.isHandedOn = true
            return true
        }
    }

    func cancellation(of path: String) -> MigrationError {
        MigrationError(
            .cancelled,
            state.withLock { $0.isHandedOn }
                ? "sending \(path) was cancelled when QEMU had been handed the end of the stream: it "
                    + "starts the guest, see there (query-status)"
                : "sending \(path) was cancelled before QEMU was handed the end of the stream: nothing "
                    + "was started")
    }
}
