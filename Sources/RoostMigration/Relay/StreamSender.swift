internal import RoostMemory
package import RoostSystem
internal import SystemPackage

/// Sends a stored stream to a QEMU that waits for one (`-incoming`).
package enum StreamSender {
    /// Sends a file.
    ///
    /// The stream is checked as it goes: one that is damaged or cut short is broken off, so that
    /// QEMU starts nothing.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - socket: The connection to QEMU.
    ///   - maximumRAMByteCount: The most memory, in bytes, that the stream may announce.
    ///   - observer: Is told how far it is.
    /// - Returns: The stream's length in bytes, when QEMU has read all of it and closed.
    /// - Throws: `MigrationError`; of kind `cancelled` when the task was cancelled, which breaks
    ///   the stream off.
    package static func send(
        path: String, to socket: StreamSocket, maximumRAMByteCount: UInt64,
        _ observer: @escaping @Sendable (StreamProgress) -> Void
    ) async throws(MigrationError) -> UInt64 {
        let outcome = await withTaskCancellationHandler {
            await carry(path, socket, maximumRAMByteCount, observer)
        } onCancel: {
            socket.shutdown(.both)
        }
        guard !Task.isCancelled else {
            throw MigrationError(
                .cancelled, "sending \(path) was cancelled: see that QEMU did not start the guest")
        }
        return try outcome.get()
    }

    private static func carry(
        _ path: String, _ socket: StreamSocket, _ maximumRAMByteCount: UInt64,
        _ observer: @escaping @Sendable (StreamProgress) -> Void
    ) async -> Result<UInt64, MigrationError> {
        async let answers = MigrationThread.run("roost-answers") { () throws(MigrationError) in
            try drain(socket)
        }
        let sent = await MigrationThread.run("roost-send") { () throws(MigrationError) in
            try send(path, socket, maximumRAMByteCount, observer)
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
        _ path: String, _ socket: StreamSocket, _ maximumRAMByteCount: UInt64,
        _ observer: (StreamProgress) -> Void
    ) throws(MigrationError) -> UInt64 {
        var input = try StreamInput.open(path: path)
        do throws(MigrationError) {
            return try send(&input, socket, maximumRAMByteCount, observer)
        } catch {
            throw error.about(input.name)
        }
    }

    private static func send(
        _ input: inout StreamInput, _ socket: StreamSocket, _ maximumRAMByteCount: UInt64,
        _ observer: (StreamProgress) -> Void
    ) throws(MigrationError) -> UInt64 {
        var reader = StreamReader(maximumRAMByteCount: maximumRAMByteCount)
        var nothing = Ignore()
        // What lies behind the end of the stream is none of the destination's business.
        while !reader.hasEnded {
            let goesOn = try input.next { bytes throws(MigrationError) in
                try reader.consume(bytes, into: &nothing)
                let count = bytes.byteCount - Int(clamping: reader.trailingByteCount)
                guard count > 0 else { return }
                do throws(SystemError) {
                    try socket.send(bytes.extracting(0..<count))
                } catch {
                    throw MigrationError(
                        .transfer, errno: error.errno,
                        "the destination QEMU closed the connection after "
                            + "\(reader.streamOffset) bytes; its standard error says why")
                }
            }
            guard goesOn else { break }
            observer(StreamProgress(position: input.position, byteCount: input.byteCount))
        }
        return try reader.finish().streamByteCount
    }

    private struct Ignore: StreamHandler {}

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
