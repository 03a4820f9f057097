internal import RoostMemory

/// A router to be measured: its ports are in memory, its threads are the caller's, its clock is what the
/// caller says.
///
/// There is a host behind each port, in the order of the configuration, whose frames the caller writes
/// and reads. Two things can be timed: the forwarding step alone, over a batch of frames, and a worker's
/// round from one port to others.
@_spi(Benchmarks)
public struct InMemoryRouter: ~Copyable {
    /// How many frames a batch has at most.
    public static var batchCapacity: Int { FrameBatch.capacity }

    /// The time in milliseconds.
    public var now: UInt64
    private var processor: Processor
    private var round: WorkerRound
    private let ring: PuntRing
    private let indices: [PortIndex]
    private let ports: [(any FramePort)?]
    private let hosts: [MemoryPort]
    private var inbox: FrameBatch
    private var carried: FrameBatch
    // The forwarding step alone.
    private let step: ForwardingStep
    private let reader: QuiescenceReader
    private var frames: FrameBatch
    private var lookup = BatchLookup()
    private var outputs = [64 of UInt16](repeating: 0)

    /// A clock that stands.
    private struct StandingClock: CollectorClock {
        let milliseconds: UInt64

        func ticks() -> UInt64 { milliseconds }
        func threadNanoseconds() -> UInt64 { 0 }
        func wallNanoseconds() -> UInt64 { 0 }
    }

    /// Makes a router; the devices that its ports name are not touched.
    ///
    /// - Throws: `RouterError`.
    public init(_ configuration: RouterConfiguration) throws(RouterError) {
        var configuration = configuration
        // One receives and sends, one only decides.
        configuration.workerCount = 2
        var open: [OpenPort] = []
        var hosts: [MemoryPort] = []
        for (number, namespace) in configuration.namespaces.enumerated() {
            for port in namespace.ports {
                let (own, host) = try MemoryPort.pair(capacity: 1_024, workerCount: 3)
                hosts.append(host)
                open.append(
                    OpenPort(
                        configuration: port, namespace: NamespaceIndex(rawValue: UInt16(number)),
                        port: own, kind: .memory, place: "memory",
                        mac: MACAddress(rawValue: Self.mac(ofPort: open.count))))
            }
        }
        let processor = try Processor.make(configuration, open)
        let limit = processor.frameLimit
        let ring = try PuntRing(frameLimit: limit)
        let round = try WorkerRound(
            view: processor.view, worker: 0, frameLimit: limit, ring: ring,
            traces: processor.traces)
        let reader = try processor.view.quiescence.makeReader()
        let inbox = try FrameBatch.making(frameLimit: limit, for: "measured frames")
        let carried = try FrameBatch.making(frameLimit: limit, for: "measured frames")
        let frames = try FrameBatch.making(frameLimit: limit, for: "measured frames")
        indices = processor.outbox.ports.compactMap { $0?.index }
        ports = processor.directory.ports()
        step = ForwardingStep(view: processor.view, worker: 1)
        now = processor.now
        self.processor = processor
        self.round = round
        self.ring = ring
        self.hosts = hosts
        self.inbox = inbox
        self.carried = carried
        self.reader = reader
        self.frames = frames
    }

    /// The router's link-layer address at a port, counted from 0.
    public static func mac(ofPort number: Int) -> UInt64 { 0x0200_0000_0100 + UInt64(number) }

    /// How the router is.
    public var snapshot: RouterSnapshot { processor.snapshot(workerCount: 1) }

    // MARK: Hosts

    /// Puts frames on the way from a host to the router, as many as a batch takes.
    public mutating func send(_ frames: [[UInt8]], fromHost number: Int) {
        carried.removeAll()
        for frame in frames { _ = unsafe carried.append(frame.span.bytes) }
        _ = hosts[number].transmit(carried.slots, of: carried, worker: 0)
    }

    /// Takes what has come to a host, at most a batch.
    public mutating func takeFrames(atHost number: Int) -> [[UInt8]] {
        carried.removeAll()
        _ = hosts[number].receive(into: &carried, worker: 0)
        return (0..<carried.count).map { slot in
            let frame = carried.frame(slot)
            return (0..<frame.byteCount).map { frame.loadBigEndian(at: $0, as: UInt8.self) }
        }
    }

    // MARK: Threads

    /// Lets the worker deal with a batch of what a host has sent.
    public mutating func receive(fromPort number: Int) {
        let index = indices[number]
        guard let port = ports[Int(index.rawValue)] else { return }
        _ = round.receive(from: port, index, sendingTo: ports, now: now)
    }

    /// Lets the processor have one turn.
    ///
    /// - Returns: Whether it has more to do at once.
    public mutating func takeTurn() -> Bool {
        ProcessorThread.turn(&processor, [ring], &inbox, clock: StandingClock(milliseconds: now))
            == .atOnce
    }

    // MARK: The forwarding step

    /// Fills the batch that ``decide(fromPort:)`` is about.
    ///
    /// - Parameters:
    ///   - bytes: The frames one after the other.
    ///   - byteCount: How long each is.
    public mutating func load(_ bytes: [UInt8], byteCount: Int) {
        frames.removeAll()
        let all = unsafe bytes.span.bytes
        for start in stride(from: 0, to: all.byteCount, by: byteCount) {
            _ = frames.append(all.extracting(start..<start + byteCount))
        }
    }

    /// Decides about each frame of the batch and makes it ready, as a worker does.
    ///
    /// - Returns: How many are to go out as they are.
    public mutating func decide(fromPort number: Int) -> Int {
        processor.view.quiescence.begin(reader)
        let ingress = ForwardingStep.Ingress(indices[number], in: processor.view)
        lookup.find(&frames, in: ingress.namespace, processor.view.forwarding)
        var count = 0
        for slot in 0..<frames.count {
            let received: Int
            var byteCount: Int
            let verdict: Verdict
            do {
                var frame = frames.mutableFrame(slot)
                received = frame.byteCount
                byteCount = received
                verdict = step.decide(
                    &frame, byteCount: &byteCount, finding: lookup[slot], from: ingress, now: now)
            }
            if byteCount < received { frames.setByteCount(byteCount, of: slot) }
            if case .transmit(let port) = verdict {
                outputs[slot] = port.rawValue
                count += 1
            }
        }
        processor.view.quiescence.end(reader)
        return count
    }

    /// The batch's frames one after the other, as they are now.
    public func decidedBytes() -> [UInt8] {
        (0..<frames.count).flatMap { slot in
            let frame = frames.frame(slot)
            return (0..<frame.byteCount).map { frame.loadBigEndian(at: $0, as: UInt8.self) }
        }
    }
}
