internal import Logging
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The processor's thread: it waits for packets, commands and times, and lets the processor work.
final class ProcessorThread: Sendable {
    /// How many packets of one worker are dealt with in one turn, between what is due by time.
    private static let turnLimit = 64

    let commands: RouterCommands
    let stop: StopSignal
    /// Wakes the thread; any thread may.
    let wake: ProcessorWake

    /// Prepares the thread.
    init() throws(RouterError) {
        let event: EventCounter
        do throws(Errno) {
            stop = try StopSignal()
            event = try EventCounter.make()
        } catch {
            throw RouterError(
                .memory, "cannot make the processor's signals: \(error); raise ulimit -n")
        }
        let wake = ProcessorWake(event)
        self.wake = wake
        commands = RouterCommands { wake.wake() }
    }

    /// Works until the router is stopped.
    ///
    /// - Parameters:
    ///   - processor: What works.
    ///   - rings: The ways of packets from the workers.
    /// - Throws: `RouterError` of kind `memory`.
    func run(_ processor: inout Processor, _ rings: [PuntRing]) throws(RouterError) {
        // Whoever waits for an answer gets it, however this ends.
        defer { for command in commands.close() { command(&processor) } }
        // Where each packet is copied, out of reach of the worker.
        var inbox = try FrameBatch.making(
            frameLimit: processor.frameLimit, for: "packets from workers")
        var next = Processor.NextTurn.atOnce
        while !stop.isRaised {
            wait(for: next, processor.now)
            processor.now = SystemCollectorClock().ticks()
            for command in commands.take() { command(&processor) }
            next = Self.turn(&processor, rings, &inbox, clock: SystemCollectorClock())
        }
    }

    private func wait(for turn: Processor.NextTurn, _ now: UInt64) {
        let milliseconds: CInt
        switch turn {
        // What is pending stays so: nobody wakes a thread that looks at everything again.
        case .atOnce: return
        case .at(let time): milliseconds = CInt(clamping: time.subtractingClamped(now))
        }
        _ = stop.wait(
            orAnyReadable: [wake.descriptor.rawValue, -1, -1, -1], milliseconds: milliseconds)
        wake.clear()
    }

    /// Deals with a bounded number of packets and with what is due.
    ///
    /// - Returns: When the next turn is.
    static func turn(
        _ processor: inout Processor, _ rings: [PuntRing], _ inbox: inout FrameBatch,
        clock: some CollectorClock
    ) -> Processor.NextTurn {
        processor.now = clock.ticks()
        var isMore = false
        for ring in rings {
            isMore = drain(ring, into: &processor, &inbox) || isMore
        }
        let next = processor.work(clock: clock)
        return isMore ? .atOnce : next
    }

    /// - Returns: Whether there are more.
    private static func drain(
        _ ring: PuntRing, into processor: inout Processor, _ inbox: inout FrameBatch
    ) -> Bool {
        for _ in 0..<turnLimit {
            guard let entry = ring.first() else { return false }
            inbox.removeAll()
            let slot = ring.copyFirst(entry, to: &inbox)
            ring.removeFirst(entry)
            if let slot { processor.handle(entry, inbox.frame(slot)) }
        }
        return true
    }
}

/// Wakes the processor: one system call for however many packets it has not looked at yet.
final class ProcessorWake: Sendable {
    private let event: EventCounter
    private let isPending = Atomic<Bool>(false)

    init(_ event: consuming EventCounter) {
        self.event = event
    }

    var descriptor: FileDescriptor { event.descriptor }

    /// Wakes the processor, unless that was done already.
    func wake() {
        guard !isPending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        event.signal()
    }

    /// The processor looks at everything from now on.
    ///
    /// The signal is taken whether one is pending or not: who found none pending before may signal only
    /// now, and a signal that is never taken would end every wait at once.
    func clear() {
        // In this order: who comes between finds it pending, and is seen by what follows.
        _ = event.take()
        _ = isPending.exchange(false, ordering: .acquiringAndReleasing)
    }
}
