import RoostMemory
package import RoostSystem
import Synchronization

/// Stands between relay and receiver, passes frames on, and stops in front of the first of one kind.
///
/// A connection that comes later, from a relay that comes back, is passed on as it is.
package final class FrameProxy: Sendable {
    /// A kind of frame (the first byte of its head) at which it can stop.
    package enum Kind: UInt8, Sendable, CaseIterable {
        case end = 12
        case prepared = 19
        case commit = 20
        case started = 21
    }

    /// Where to connect instead.
    package let endpoint: Endpoint
    private let listener: Listener
    private let target: Endpoint
    private let kind: Kind
    /// Raised when such a frame has come, and when it may go on.
    private let reached: StopSignal
    private let released: StopSignal
    private let sockets = Mutex<[StreamSocket]>([])
    private let hasHeld = Mutex(false)

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - endpoint: Where.
    ///   - target: Where the receiver listens.
    ///   - kind: In front of which frame to stop.
    /// - Throws: `SystemError` when it cannot listen.
    package init(at endpoint: Endpoint, to target: Endpoint, before kind: Kind) throws {
        listener = try Listener(on: endpoint)
        self.endpoint = listener.endpoint
        self.target = target
        self.kind = kind
        reached = try StopSignal()
        released = try StopSignal()
        let failure = DedicatedThread.start(name: "proxy") { self.serve() }
        if let failure { throw failure }
    }

    private func serve() {
        while let near = try? listener.accept() {
            guard let far = try? StreamSocket.connect(to: target) else {
                near.shutdown(.both)
                continue
            }
            sockets.withLock { $0 += [near, far] }
            _ = DedicatedThread.start(name: "proxy-forth") { self.carry(near, far) }
            _ = DedicatedThread.start(name: "proxy-back") { self.carry(far, near) }
        }
    }

    private func carry(_ from: StreamSocket, _ to: StreamSocket) {
        var input = ByteQueue(capacity: 4 << 20)
        while let count = try? input.fill(from: from.descriptor), count > 0 {
            while let length = Self.frame(in: input.bytes) {
                if input.bytes.loadBigEndian(at: 0, as: UInt8.self) == kind.rawValue { hold() }
                guard (try? to.send(input.bytes.extracting(0..<length))) != nil else {
                    return from.shutdown(.both)
                }
                input.removeFirst(length)
            }
        }
        to.shutdown(.writing)
    }

    private static func frame(in bytes: RawSpan) -> Int? {
        guard bytes.byteCount >= 20 else { return nil }
        let length = 20 + Int(bytes.loadBigEndian(at: 4, as: UInt32.self))
        return bytes.byteCount >= length ? length : nil
    }

    private func hold() {
        let isFirst = hasHeld.withLock { hasHeld in
            defer { hasHeld = true }
            return !hasHeld
        }
        guard isFirst else { return }
        reached.raise()
        _ = released.wait()
    }

    /// Waits until the frame has come.
    ///
    /// - Throws: `LabError` when it does not.
    package func reach() async throws {
        let reached = reached
        let isReached = try await DedicatedThread.run(name: "proxy-wait") {
            reached.wait(within: .seconds(90))
        }
        guard isReached else { throw LabError("no frame \(kind) came") }
    }

    /// Lets the frame go on.
    package func release() { released.raise() }

    /// Cuts what is connected, the frame that was held with it.
    package func cut() {
        for socket in sockets.withLock({ $0 }) { socket.shutdown(.both) }
        released.raise()
    }

    /// Cuts for good.
    package func end() {
        listener.stop()
        cut()
    }

    deinit {
        listener.stop()
        released.raise()
    }
}
