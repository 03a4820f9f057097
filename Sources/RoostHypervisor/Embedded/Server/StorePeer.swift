internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A connection that speaks xenstore's wire protocol.
final class StorePeer {
    private static let receivedByteCount = 8192

    let socket: StreamSocket
    let id: StoreConnectionID
    /// The domain whose connection it is, or `nil` for one of the privileged socket.
    let domain: DomainID?
    private var unsent: [UInt8] = []
    private var sentByteCount = 0

    init(_ socket: StreamSocket, id: StoreConnectionID, domain: DomainID?) {
        self.socket = socket
        self.id = id
        self.domain = domain
    }

    /// Whether bytes wait for room; no more are taken from the store meanwhile.
    var isBlocked: Bool { sentByteCount < unsent.count }

    /// Gives the store what has come.
    ///
    /// - Returns: Whether the connection goes on.
    func receive(into store: inout StoreServer) -> Bool {
        var chunk = [UInt8](repeating: 0, count: Self.receivedByteCount)
        do throws(SystemError) {
            var span = chunk.mutableSpan
            // SAFETY: any byte is a value of the array's type.
            var bytes = unsafe span.mutableBytes
            let count = try socket.receive(into: &bytes).byteCount
            guard count > 0 else { return false }
            // SAFETY: bytes of integers.
            return store.receive(unsafe chunk.span.bytes.extracting(..<count), from: id)
        } catch {
            return error.errno == .wouldBlock
        }
    }

    /// Sends what the store has for the connection, as far as there is room.
    ///
    /// - Returns: Whether the connection goes on.
    func send(from store: inout StoreServer) -> Bool {
        while true {
            if !isBlocked {
                unsent = store.takeOutput(of: id)
                sentByteCount = 0
                if unsent.isEmpty { return true }
            }
            do throws(Errno) {
                let bytes = unsent
                // SAFETY: bytes of integers.
                let span = unsafe bytes.span.bytes
                let count = try socket.sendNow(span.extracting(droppingFirst: sentByteCount))
                guard count > 0 else { return true }
                sentByteCount += count
            } catch {
                return false
            }
        }
    }
}
