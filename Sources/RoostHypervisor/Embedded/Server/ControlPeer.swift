internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A domain's control connection, before and after its first message.
final class ControlPeer {
    let socket: StreamSocket
    let userID: UInt32
    /// Who it is, once it has said so.
    var domain: ServerDomain?
    /// Its store connection's token, while there is one.
    var storeToken: UInt64?
    private var received: [UInt8] = []
    private var unsent: [HypervisorState.Outgoing] = []

    init(_ socket: StreamSocket, userID: UInt32) {
        self.socket = socket
        self.userID = userID
    }

    /// Whether answers wait for room: no requests are taken meanwhile.
    var isBlocked: Bool { !unsent.isEmpty }

    /// Receives what has come of the next message.
    ///
    /// - Returns: The message if it is whole.
    /// - Throws: `SystemError` once the connection has ended.
    func receive() throws(SystemError) -> ControlMessage? {
        var chunk = [UInt8](repeating: 0, count: ControlMessage.byteCount - received.count)
        var span = chunk.mutableSpan
        // SAFETY: any byte is a value of the array's type.
        var bytes = unsafe span.mutableBytes
        // A descriptor that comes with a request is closed: none takes one.
        let count = try socket.receive(into: &bytes).byteCount
        guard count > 0 else { throw SystemError(.transfer, "the domain closed its connection") }
        received += chunk[..<count]
        guard received.count == ControlMessage.byteCount else { return nil }
        defer { received.removeAll(keepingCapacity: true) }
        return ControlMessage(received)
    }

    /// Sends messages behind those that wait.
    ///
    /// - Throws: `SystemError` once the connection has ended.
    func send(_ messages: [HypervisorState.Outgoing]) throws(SystemError) {
        unsent += messages
        try flush()
    }

    /// Sends what there is room for.
    ///
    /// - Throws: `SystemError` once the connection has ended.
    func flush() throws(SystemError) {
        while let next = unsent.first {
            do throws(SystemError) {
                // SAFETY: bytes of integers. They go whole or not at all: a stream socket takes
                // 64 bytes in one piece.
                try socket.send(
                    unsafe next.message.bytes.span.bytes, passing: next.descriptor)
            } catch {
                if error.errno == .wouldBlock { return }
                guard error.errno == .tooManyReferences, next.descriptor != nil else { throw error }
                // Too many descriptors are on their way to those who do not read: say so instead.
                unsent[0].message.status = UInt32(Errno.tooManyReferences.rawValue)
                unsent[0].descriptor = nil
                continue
            }
            unsent.removeFirst()
        }
    }
}
