internal import RoostMemory

/// What is counted of a port's frames.
enum PortCounter: Int, CaseIterable, Sendable {
    /// Frames taken from the port.
    case receivedFrames
    /// Their bytes, Ethernet headers included.
    case receivedBytes
    /// Frames given to the port.
    case sentFrames
    /// Their bytes, Ethernet headers included.
    case sentBytes
    /// Received frames that were dropped for being shorter than an Ethernet header.
    case receiveTooShort
    /// Received frames that were dropped for being longer than the port's MTU allows.
    case receiveTooLong
    /// Times that receiving failed for another reason than the port being down.
    case receiveFailed
    /// Frames to send that were dropped because the port's queue was full.
    case transmitQueueFull
    /// Frames to send that were dropped for being longer than the port's MTU allows.
    case transmitTooLong
    /// Frames to send that were dropped because the port was down or gone.
    case transmitDown
    /// Frames to send that were dropped because the port refused them for another reason.
    case transmitFailed

    /// Whether it counts frames that went no further.
    var isDrop: Bool { rawValue >= PortCounter.receiveTooShort.rawValue }

    /// The name in reports.
    var name: String {
        switch self {
        case .receivedFrames: "received-frames"
        case .receivedBytes: "received-bytes"
        case .sentFrames: "sent-frames"
        case .sentBytes: "sent-bytes"
        case .receiveTooShort: "receive-too-short"
        case .receiveTooLong: "receive-too-long"
        case .receiveFailed: "receive-failed"
        case .transmitQueueFull: "transmit-queue-full"
        case .transmitTooLong: "transmit-too-long"
        case .transmitDown: "transmit-down"
        case .transmitFailed: "transmit-failed"
        }
    }
}

/// A port's counters: each worker adds to its own line, a reader folds them.
///
/// A sum is that of some moment of each worker; it never goes back.
final class PortCounters: Sendable {
    /// How far apart two workers' counters lie: two lines of 64 bytes, for the prefetcher.
    private static let stride = 128 / MemoryLayout<UInt64>.size

    private let words: AtomicArray<UInt64>
    /// How many workers count.
    let workerCount: Int

    /// Makes counters of zero.
    ///
    /// - Parameter workerCount: How many threads count, at least 1.
    /// - Throws: `RouterError` of kind `memory`.
    init(workerCount: Int) throws(RouterError) {
        precondition(workerCount > 0)
        precondition(PortCounter.allCases.count <= Self.stride)
        self.workerCount = workerCount
        do {
            words = try AtomicArray(count: workerCount * Self.stride)
        } catch {
            throw RouterError(error, for: "a port's counters")
        }
    }

    /// Adds to a counter; once a batch, by the worker itself.
    ///
    /// - Precondition: The worker is below ``workerCount``.
    func add(_ amount: Int, to counter: PortCounter, worker: Int) {
        guard amount != 0 else { return }
        let index = worker * Self.stride + counter.rawValue
        // One writer: no atomic addition is needed.
        words.storeRelaxed(
            words.relaxed(index) &+ UInt64(truncatingIfNeeded: amount), at: index)
    }

    /// A counter's sum over all workers; any thread may ask.
    func total(_ counter: PortCounter) -> UInt64 {
        (0..<workerCount).reduce(0) { sum, worker in
            sum &+ words.relaxed(worker * Self.stride + counter.rawValue)
        }
    }
}
