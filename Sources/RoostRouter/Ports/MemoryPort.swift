internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What a ``MemoryPort`` can be told to do wrong.
enum MemoryPortFault: Sendable, Equatable {
    /// The frame finds the queue full, and is dropped.
    case queueFull
    /// The port takes the frame for one that is refused, and drops it.
    case refused
    /// The port is down at that frame.
    case down
    /// The frame is cut after so many bytes.
    case short(Int)
}

/// One of two ports in memory: what is sent by one is received by the other, in order.
///
/// For tests and measurements: nothing in it depends on time. Frames that find the queue full are
/// dropped, as a device does. Any thread may use either.
final class MemoryPort: FramePort {
    private let outgoing: Wire
    private let incoming: Wire
    private let frameLimit: Int
    /// See ``FramePort/counters``.
    let counters: PortCounters

    /// None unless it was asked for: who uses a port in memory mostly knows when it sent.
    var descriptor: FileDescriptor? { incoming.arrival?.descriptor }

    private init(
        outgoing: Wire, incoming: Wire, frameLimit: Int, workerCount: Int
    ) throws(RouterError) {
        self.outgoing = outgoing
        self.incoming = incoming
        self.frameLimit = frameLimit
        counters = try PortCounters(workerCount: workerCount)
    }

    /// Makes two ports that are each other's peer.
    ///
    /// - Parameters:
    ///   - capacity: How many frames wait in each direction at most.
    ///   - mtu: The longest payload of a frame in bytes.
    ///   - workerCount: How many threads count frames.
    ///   - isWaitable: Whether they have descriptors to wait for.
    /// - Returns: The two ports.
    /// - Throws: `RouterError` of kind `memory`.
    static func pair(
        capacity: Int = 256, mtu: Int = 1_500, workerCount: Int = 1, isWaitable: Bool = false
    ) throws(RouterError) -> (MemoryPort, MemoryPort) {
        let limit = mtu + FrameLength.longestHeader
        let there = try Wire(capacity: capacity, frameLimit: limit, isWaitable: isWaitable)
        let back = try Wire(capacity: capacity, frameLimit: limit, isWaitable: isWaitable)
        return (
            try MemoryPort(
                outgoing: there, incoming: back, frameLimit: limit, workerCount: workerCount),
            try MemoryPort(
                outgoing: back, incoming: there, frameLimit: limit, workerCount: workerCount)
        )
    }

    /// Lets one frame that this port sends fail.
    ///
    /// - Parameters:
    ///   - fault: How.
    ///   - frame: Which one, counted from the next on, which is 1.
    func inject(_ fault: MemoryPortFault, atFrame frame: Int) {
        outgoing.state.withLock { $0.fault = (fault, frame) }
    }

    /// Ends the port: its peer still receives what was sent, then is gone.
    func close() {
        outgoing.state.withLock { $0.isClosed = true }
        incoming.state.withLock { $0.isClosed = true }
        outgoing.arrival?.signal()
        incoming.arrival?.signal()
    }

    /// See ``FramePort/receive(into:worker:)``.
    func receive(into batch: inout FrameBatch, worker: Int) -> PortState {
        let before = batch.count
        var bytes = 0
        var tooShort = 0
        var tooLong = 0
        var isGone = false
        // Before the frames are: one that comes meanwhile is taken now or signalled again.
        incoming.arrival?.take()
        incoming.state.withLock { state in
            while state.count > 0, !batch.isFull {
                let length = Int(state.byteCounts[state.head])
                if length < FrameLength.header {
                    tooShort += 1
                } else {
                    let frame = state.frames.span(
                        from: state.head * frameLimit, count: length)
                    // SAFETY: bytes of bytes have no padding.
                    if batch.append(unsafe frame.bytes) != nil {
                        bytes += length
                    } else {
                        tooLong += 1
                    }
                }
                state.head = (state.head + 1) % state.byteCounts.count
                state.count -= 1
            }
            isGone = state.isClosed && state.count == 0
            if state.count > 0 || state.isClosed { incoming.arrival?.signal() }
        }
        counters.add(batch.count - before, to: .receivedFrames, worker: worker)
        counters.add(bytes, to: .receivedBytes, worker: worker)
        counters.add(tooShort, to: .receiveTooShort, worker: worker)
        counters.add(tooLong, to: .receiveTooLong, worker: worker)
        return isGone && batch.count == before ? .gone : .ready
    }

    /// See ``FramePort/transmit(_:of:worker:)``.
    func transmit(_ slots: SlotSet, of batch: borrowing FrameBatch, worker: Int) -> PortState {
        var frames = 0
        var bytes = 0
        var state = PortState.ready
        outgoing.state.withLock { wire in
            var rest = slots
            while let slot = rest.popFirst() {
                let counter = wire.append(batch.frame(slot), frameLimit: frameLimit)
                if counter == .sentFrames {
                    frames += 1
                    bytes += batch.byteCount(of: slot)
                } else {
                    counters.add(1, to: counter, worker: worker)
                    if counter == .transmitDown { state = wire.isClosed ? .gone : .down }
                }
            }
        }
        if frames > 0 { outgoing.arrival?.signal() }
        counters.add(frames, to: .sentFrames, worker: worker)
        counters.add(bytes, to: .sentBytes, worker: worker)
        return state
    }
}

/// Readable while frames wait.
private final class Arrival: Sendable {
    private let event: EventCounter

    init() throws(RouterError) {
        do throws(Errno) {
            event = try EventCounter.make()
        } catch {
            throw RouterError(.memory, "cannot make a port's signal: \(error); raise ulimit -n")
        }
    }

    var descriptor: FileDescriptor { event.descriptor }

    func signal() { event.signal() }

    func take() { _ = event.take() }
}

/// Frames that one port has sent and the other has not received yet.
private final class Wire: Sendable {
    struct State: ~Copyable {
        var frames: FixedArray<UInt8>
        var byteCounts: FixedArray<UInt32>
        var head = 0
        var count = 0
        var isClosed = false
        var fault: (kind: MemoryPortFault, countdown: Int)?

        /// Puts a frame behind the others, and answers what it is counted as.
        mutating func append(_ frame: RawSpan, frameLimit: Int) -> PortCounter {
            guard frame.byteCount <= frameLimit else { return .transmitTooLong }
            guard !isClosed else { return .transmitDown }
            var kept = frame.byteCount
            switch nextFault() {
            case .queueFull: return .transmitQueueFull
            case .refused: return .transmitFailed
            case .down: return .transmitDown
            case .short(let byteCount): kept = min(byteCount, kept)
            case nil: break
            }
            guard count < byteCounts.count else { return .transmitQueueFull }
            let place = (head + count) % byteCounts.count
            var room = frames.mutableSpan(from: place * frameLimit, count: kept)
            // SAFETY: any bytes are bytes.
            var bytes = unsafe room.mutableBytes
            bytes.replaceAll(with: frame.extracting(0..<kept))
            byteCounts[place] = UInt32(kept)
            count += 1
            return .sentFrames
        }

        /// What goes wrong with the frame that is sent now.
        private mutating func nextFault() -> MemoryPortFault? {
            guard let injected = fault else { return nil }
            guard injected.countdown <= 1 else {
                fault = (injected.kind, injected.countdown - 1)
                return nil
            }
            fault = nil
            return injected.kind
        }
    }

    let state: Mutex<State>
    /// Told of frames, where somebody waits for them.
    let arrival: Arrival?

    init(capacity: Int, frameLimit: Int, isWaitable: Bool) throws(RouterError) {
        arrival = isWaitable ? try Arrival() : nil
        do {
            state = Mutex(
                State(
                    frames: try FixedArray(count: capacity * frameLimit),
                    byteCounts: try FixedArray(count: capacity)))
        } catch {
            throw RouterError(error, for: "a port in memory")
        }
    }
}
