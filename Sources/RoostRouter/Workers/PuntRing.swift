internal import RoostMemory

/// The way of packets from one worker to the processor: a bounded ring of copies.
///
/// The worker pushes, the processor pops, and neither waits. A namespace may hold at most as many
/// places as are free, and half of that with packets that only wait for an answer or ask for an error
/// message: whatever floods leave of the ring, as much again is there for the others, and neighbours
/// are kept when strangers are looked for.
final class PuntRing: Sendable {
    /// How many packets wait at most: as many as the processor deals with in some milliseconds.
    static let capacity = 512

    /// A packet on the way.
    struct Entry: BitwiseCopyable, Sendable {
        var punt: Punt
        /// Where it came in.
        var port: PortIndex
        var namespace: NamespaceIndex
        var byteCount: Int
    }

    private let entries: SharedArray<Entry>
    private let bytes: SharedArray<UInt8>
    private let frameLimit: Int
    /// How many were pushed and popped, each on a line of its own.
    private let ends: AtomicArray<UInt32>
    private static let pushed = 0
    private static let popped = 32
    /// How many of each namespace wait.
    private let waiting: AtomicArray<UInt32>

    /// Makes an empty ring.
    ///
    /// - Parameter frameLimit: The longest frame in bytes.
    /// - Throws: `RouterError` of kind `memory`.
    init(frameLimit: Int) throws(RouterError) {
        self.frameLimit = frameLimit
        do {
            entries = try SharedArray(count: Self.capacity)
            bytes = try SharedArray(count: Self.capacity * frameLimit)
            ends = try AtomicArray(count: 64)
            waiting = try AtomicArray(count: Int(UInt16.max) + 1)
        } catch {
            throw RouterError(error, for: "packets on their way to the processor")
        }
    }

    /// Copies a packet into the ring; for the worker's thread.
    ///
    /// - Returns: Whether there was a place for it.
    func push(_ frame: RawSpan, _ punt: Punt, from ingress: ForwardingStep.Ingress) -> Bool {
        let end = ends.relaxed(Self.pushed)
        let free = Self.capacity - Int(end &- ends.acquire(Self.popped))
        let own = Int(waiting.relaxed(Int(ingress.namespace.rawValue)))
        guard free > 0, own < (punt.reason.isForRouter ? free : free / 2),
            frame.byteCount <= frameLimit
        else { return false }
        let place = Int(end % UInt32(Self.capacity))
        bytes.write(frame, at: place * frameLimit)
        entries.write(
            Entry(
                punt: punt, port: ingress.port, namespace: ingress.namespace,
                byteCount: frame.byteCount), at: place)
        _ = waiting.add(1, at: Int(ingress.namespace.rawValue))
        ends.release(end &+ 1, at: Self.pushed)
        return true
    }

    /// The oldest packet, which stays until ``removeFirst(_:)``; for the processor's thread.
    ///
    /// - Returns: What is known of it, nil when none waits.
    func first() -> Entry? {
        let begin = ends.relaxed(Self.popped)
        guard begin != ends.acquire(Self.pushed) else { return nil }
        return entries[Int(begin % UInt32(Self.capacity))]
    }

    /// Copies the oldest packet's frame to the end of a batch.
    ///
    /// - Returns: Its slot there; nil when the batch is full.
    func copyFirst(_ entry: Entry, to batch: inout FrameBatch) -> Int? {
        let place = Int(ends.relaxed(Self.popped) % UInt32(Self.capacity))
        let start = place * frameLimit
        return batch.append(bytes, start..<start + entry.byteCount)
    }

    /// Takes the oldest packet out; its place may be used again.
    func removeFirst(_ entry: Entry) {
        _ = waiting.subtract(1, at: Int(entry.namespace.rawValue))
        ends.release(ends.relaxed(Self.popped) &+ 1, at: Self.popped)
    }
}

extension Punt.Reason {
    /// Whether the router itself is meant: without these no neighbour would be kept.
    var isForRouter: Bool { self == .arp || self == .local }
}
