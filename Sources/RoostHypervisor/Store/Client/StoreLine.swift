internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The descriptor under a client of the store: a unix socket, or a device such as
/// `/dev/xen/xenbus`, which is no socket but has the same bytes.
final class StoreLine: Sendable {
    private let socket: StreamSocket
    private let stop: StopSignal
    /// Held while a message is sent; whether the descriptor is a socket, as far as is known.
    private let isSocket = Mutex(true)

    /// The most bytes read at once.
    private static let readByteCount = 64 * 1024

    /// Takes a descriptor.
    ///
    /// - Throws: `HypervisorError` of kind `system` when there is no descriptor for the signal.
    init(_ socket: StreamSocket) throws(HypervisorError) {
        self.socket = socket
        do throws(Errno) {
            stop = try StopSignal()
        } catch {
            throw HypervisorError(
                .system, errno: error,
                "cannot use a connection to the store: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }

    /// Sends whole messages; a peer that has gone raises no SIGPIPE.
    ///
    /// - Returns: Why they could not be sent.
    func send(_ bytes: [UInt8]) -> HypervisorError? {
        isSocket.withLock { isSocket -> HypervisorError? in
            if isSocket {
                do throws(SystemError) {
                    // SAFETY: bytes have no padding.
                    try socket.send(unsafe bytes.span.bytes)
                    return nil
                } catch {
                    guard error.errno == .notSocket else { return Self.failure(error.description) }
                    isSocket = false
                }
            }
            do {
                try socket.descriptor.writeAll(bytes)
                return nil
            } catch {
                return Self.failure("\(error)")
            }
        }
    }

    private static func failure(_ reason: String) -> HypervisorError {
        HypervisorError(
            .lost,
            "the connection to the store has ended: \(reason); connect again once the "
                + "hypervisor runs")
    }

    /// Reads until the connection ends or is closed here; blocks its thread.
    func read(_ body: ([UInt8]) -> Void) {
        var queue = ByteQueue(capacity: Self.readByteCount)
        while !stop.wait(orReadable: socket.descriptor) {
            let count: Int
            do throws(Errno) {
                count = try queue.fill(from: socket.descriptor)
            } catch {
                // How it ended makes no difference to who waits.
                return
            }
            guard count > 0 else { return }
            body([UInt8](queue.bytes))
            queue.removeAll()
        }
    }

    /// Ends the connection and its reading thread.
    func close() {
        stop.raise()
        socket.shutdown(.both)
    }
}
