import Logging
import RoostMemory
import Testing

@testable import RoostRouter

/// A router whose threads are this one and whose clock is the test's, with a host behind each port.
struct RouterRig: ~Copyable {
    /// A clock that stands until it is moved.
    struct StandingClock: CollectorClock {
        var milliseconds: UInt64

        func ticks() -> UInt64 { milliseconds }
        func threadNanoseconds() -> UInt64 { 0 }
        func wallNanoseconds() -> UInt64 { 0 }
    }

    private(set) var processor: Processor
    private var round: WorkerRound
    private let ring: PuntRing
    private var inbox: FrameBatch
    private let hosts: [MemoryPort]
    private var received: FrameBatch
    private(set) var clock = StandingClock(milliseconds: 1_000)

    /// Makes a router with a port in memory for each one of a configuration.
    init(_ configuration: RouterConfiguration) throws {
        try configuration.validate()
        var ports: [OpenPort] = []
        var hosts: [MemoryPort] = []
        for (number, namespace) in configuration.namespaces.enumerated() {
            for port in namespace.ports {
                let (mine, host) = try MemoryPort.pair(
                    capacity: 1_024, mtu: 9_000, workerCount: 2)
                hosts.append(host)
                ports.append(
                    OpenPort(
                        configuration: port, namespace: NamespaceIndex(rawValue: UInt16(number)),
                        port: mine, kind: .memory, place: "memory",
                        mac: Self.mac(ofPort: ports.count)))
            }
        }
        let processor = try Processor.make(configuration, ports)
        let ring = try PuntRing(frameLimit: processor.frameLimit)
        let round = try WorkerRound(
            view: processor.view, worker: 0, frameLimit: processor.frameLimit, ring: ring,
            traces: processor.traces)
        let inbox = try FrameBatch(frameLimit: processor.frameLimit)
        let received = try FrameBatch(frameLimit: 9_018)
        self.processor = processor
        self.round = round
        self.ring = ring
        self.inbox = inbox
        self.hosts = hosts
        self.received = received
    }

    /// The router's link-layer address at a port, counted from 0.
    static func mac(ofPort number: Int) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0100 + UInt64(number))
    }

    /// A host's link-layer address behind a port, counted from 0.
    static func mac(ofHost number: Int) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0200 + UInt64(number))
    }

    /// The router's place of a port, counted from 0.
    func index(ofPort number: Int) -> PortIndex {
        processor.outbox.ports.compactMap { $0 }[number].index
    }

    /// Sends a frame from a host and lets the router work until it has nothing more to do.
    mutating func send(_ frame: [UInt8], fromHost number: Int) throws {
        try send([frame], fromHost: number)
    }

    /// Sends a batch of frames from a host and lets the router work as above.
    mutating func send(_ frames: [[UInt8]], fromHost number: Int) throws {
        var batch = try FrameBatch(frameLimit: 9_018)
        for frame in frames {
            let bytes = unsafe frame.span.bytes
            try #require(batch.append(bytes) != nil)
        }
        _ = hosts[number].transmit(batch.slots, of: batch, worker: 0)
        run()
    }

    /// Lets time pass, in steps of 50 ms.
    mutating func wait(_ milliseconds: UInt64) {
        let end = clock.milliseconds + milliseconds
        while clock.milliseconds < end {
            clock.milliseconds += min(50, end - clock.milliseconds)
            run()
        }
    }

    /// Lets the router work until it has nothing more to do.
    mutating func run() {
        var isMore = true
        while isMore {
            isMore = false
            let ports = processor.directory.ports()
            for (index, port) in ports.enumerated() {
                guard let port else { continue }
                let place = PortIndex(rawValue: UInt16(index))
                isMore =
                    round.receive(from: port, place, sendingTo: ports, now: clock.ticks())
                    || isMore
            }
            let next = ProcessorThread.turn(&processor, [ring], &inbox, clock: clock)
            isMore = next == .atOnce || isMore
        }
    }

    /// What has come to a host since it was asked last.
    mutating func frames(atHost number: Int) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        repeat {
            received.removeAll()
            _ = hosts[number].receive(into: &received, worker: 0)
            for slot in 0..<received.count {
                let frame = received.frame(slot)
                frames.append(
                    (0..<frame.byteCount).map { frame.loadBigEndian(at: $0, as: UInt8.self) })
            }
        } while received.isFull
        return frames
    }

    /// Does something as the processor does between packets.
    mutating func control<Answer>(
        _ body: (inout Processor) throws -> Answer
    ) rethrows -> Answer {
        defer { run() }
        return try body(&processor)
    }

    /// How often something became of a port's packets.
    func count(_ counter: PacketCounter, ofPort number: Int) -> UInt64 {
        processor.view.counters.total(counter, of: index(ofPort: number))
    }
}
