internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A stream's file, written by a thread of its own, so that a disk or a pipe that is slow keeps no
/// engine from being heard.
final class FileSink: Sendable {
    /// What the thread has done.
    enum Notice: Sendable {
        /// All bytes so far are on disk.
        case synced
        /// The file has its name.
        case committed
        /// It cannot go on: the file is gone.
        case failed(MigrationError)
    }

    /// What the thread is to do once so many bytes have come.
    private enum Order {
        case sync(after: UInt64)
        case commit(after: UInt64)
    }

    /// The engine's end, into which the stream is sent.
    let socket: StreamSocket
    private let far: StreamSocket
    private let orders = Mutex<[Order]>([])
    private let file: Mutex<OutputFile?>
    private let event: EventCounter
    private let ended: StopSignal

    /// Opens a file, under no name yet, and starts the thread.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - mayReplace: Whether an existing file that is not empty is replaced.
    ///   - notify: Is told what was done, on the thread.
    /// - Throws: `MigrationError` of kind `transfer`.
    init(
        _ path: String, mayReplace: Bool, _ notify: @escaping @Sendable (Notice) -> Void
    ) throws(MigrationError) {
        do throws(SystemError) {
            (socket, far) = try StreamSocket.pair()
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        do throws(Errno) {
            event = try EventCounter.make()
            ended = try StopSignal()
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "cannot make an event descriptor: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
        file = Mutex(try OutputFile.open(path, mayReplace: mayReplace))
        let failure = DedicatedThread.start(name: "roost-store") {
            self.write(notify)
            self.ended.raise()
        }
        if let failure {
            throw MigrationError(.transfer, errno: failure.errno, failure.description)
        }
    }

    /// Has the bytes so far made durable.
    ///
    /// - Parameter byteCount: How many bytes those are.
    func sync(after byteCount: UInt64) {
        orders.withLock { $0.append(.sync(after: byteCount)) }
        event.signal()
    }

    /// Has the file given its name.
    ///
    /// - Parameter byteCount: How many bytes it has.
    func commit(after byteCount: UInt64) {
        orders.withLock { $0.append(.commit(after: byteCount)) }
        event.signal()
    }

    /// Ends the thread; a file that has no name is gone then.
    ///
    /// - Parameter limit: How long whoever reads a pipe may keep it.
    func end(within limit: Duration) {
        socket.shutdown(.both)
        _ = ended.wait(within: limit)
    }

    /// Writes what comes until the file has its name, or the engine closes its end.
    private func write(_ notify: @Sendable (Notice) -> Void) {
        guard let file = file.withLock({ $0.take() }) else { return }
        do throws(MigrationError) {
            guard try carry(into: file, notify) else { return }
            try file.finish()
            notify(.committed)
        } catch {
            far.shutdown(.both)
            notify(.failed(error))
        }
    }

    /// Writes what comes.
    ///
    /// - Returns: Whether the file is to be given its name.
    private func carry(
        into file: borrowing OutputFile, _ notify: (Notice) -> Void
    ) throws(MigrationError) -> Bool {
        var input = ByteQueue(capacity: 1 << 20)
        var byteCount: UInt64 = 0
        while true {
            _ = event.take()
            switch due(byteCount) {
            case .sync:
                try file.makeDurable()
                notify(.synced)
            case .commit:
                return true
            case nil: break
            }
            let ready = StreamSocket.wait((far, .input), nil, wake: event.descriptor, until: nil)
            guard ready.first.contains(.input) else { continue }
            guard let count = try? input.fill(from: far.descriptor), count > 0 else { return false }
            byteCount += UInt64(count)
            try file.write(&input)
        }
    }

    /// Takes the order that is to be carried out after so many bytes.
    private func due(_ byteCount: UInt64) -> Order? {
        orders.withLock { orders in
            switch orders.first {
            case .sync(byteCount), .commit(byteCount): orders.removeFirst()
            default: nil
            }
        }
    }
}
