package import RoostMemory
package import RoostSystem
internal import SystemPackage

/// Where a source's stream goes and its answers come from.
///
/// Any thread may call ``close()``; the rest is the source's thread's.
package protocol SourceConnection: AnyObject, Sendable {
    /// Sends everything that waits in a queue, blocking.
    ///
    /// - Throws: `MigrationError` of kind `transfer`.
    func send(_ queue: inout ByteQueue) throws(MigrationError)

    /// Says that nothing more will be sent.
    func endSending()

    /// Waits for answers and reads them.
    ///
    /// - Parameter queue: Where they go, behind what waits there.
    /// - Returns: `false` at their end.
    /// - Throws: `MigrationError` of kind `transfer`.
    func receive(into queue: inout ByteQueue) throws(MigrationError) -> Bool

    /// Sleeps until a time, a signal or the end of the connection.
    func sleep(until time: ContinuousClock.Instant, unless signal: StopSignal)

    /// Ends the connection: whoever waits in it goes on with a failure.
    func close()
}

/// A stream socket to a destination.
package final class SocketConnection: SourceConnection {
    private let socket: StreamSocket

    package init(_ socket: StreamSocket) {
        self.socket = socket
    }

    package func send(_ queue: inout ByteQueue) throws(MigrationError) {
        do throws(SystemError) {
            try socket.send(queue.bytes)
        } catch {
            throw MigrationError(
                .transfer, errno: error.errno,
                "the connection to the destination broke (\(error.description)): see what the "
                    + "destination says, and move the guest again")
        }
        queue.removeAll()
    }

    package func endSending() {
        socket.shutdown(.writing)
    }

    package func receive(into queue: inout ByteQueue) throws(MigrationError) -> Bool {
        do throws(Errno) {
            return try queue.fill(from: socket.descriptor) > 0
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "the connection to the destination broke (\(error)) before it said that it has "
                    + "loaded everything: see what the destination says")
        }
    }

    package func sleep(until time: ContinuousClock.Instant, unless signal: StopSignal) {
        _ = socket.wait(for: .end, unless: signal, until: time)
    }

    package func close() {
        socket.shutdown(.both)
    }
}
