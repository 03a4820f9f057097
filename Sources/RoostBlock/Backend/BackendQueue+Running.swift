internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// How a queue's thread works and sleeps.
extension BackendQueue where Mapper: ~Copyable, Channel: ~Copyable, Storage: ~Copyable {
    /// Rounds of taking requests before the signals are looked at again.
    private static var roundLimit: Int { 32 }
    /// Events for nothing, in a row, before they are taken more slowly.
    private static var spuriousLimit: Int { 16 }
    /// How many of them it takes for each doubling of the delay, and how often it doubles: 16 ms.
    private static var delayDoublings: Int { 4 }
    /// How often idle grants are looked for at most.
    static var housekeepingInterval: UInt64 { 100_000_000 }

    /// Serves the ring until something else is to be done.
    ///
    /// - Parameters:
    ///   - stop: Ends it.
    ///   - controlEvent: Ends it when readable, unless `nil`; it can be called again.
    ///   - loss: Readable when the hypervisor is gone, unless `nil`.
    /// - Returns: Why it ended. Requests may still be with the storage: see ``close()``.
    mutating func run(
        until stop: StopSignal, control controlEvent: FileDescriptor? = nil,
        loss: FileDescriptor? = nil
    ) -> End {
        while !stop.isRaised {
            let hadEvent = channel.takePending()
            let (taken, hasMore) = serve()
            if isBroken { return .broken }
            let delay = spuriousDelay(hadEvent: hadEvent, taken: taken)
            // Only now: what comes while the work is done is part of it.
            if hadEvent, delay == 0 { channel.unmask() }
            let ready = stop.wait(
                orAnyReadable: [
                    channel.descriptor.rawValue, storage.completionDescriptor?.rawValue ?? -1,
                    controlEvent?.rawValue ?? -1, loss?.rawValue ?? -1,
                ],
                milliseconds: hasMore ? 0 : delay > 0 ? delay : millisecondsToHousekeeping)
            if delay > 0 { channel.unmask() }
            if ready & 0b1000 != 0 { return .lost }
            if ready & 0b0100 != 0 { return .control }
        }
        return .stopped
    }

    /// Does what there is to do, without waiting and without being kept at it.
    ///
    /// - Returns: How many requests were taken or went on, and whether more wait.
    mutating func serve() -> (taken: Int, hasMore: Bool) {
        validator.geometry.sectorCount = control.sectorCount
        var total = 0
        var hasMore = true
        var round = 0
        while hasMore, round < Self.roundLimit {
            now = clock.nanoseconds
            total &+= takeCompletions()
            total &+= takeRequests()
            storage.flushSubmissions()
            if underWayCount > 0 {
                now = clock.nanoseconds
                total &+= takeCompletions()
            }
            storage.flushSubmissions()
            publishResponses()
            // Behind a barrier nothing is asked for: its completion wakes the thread.
            hasMore = !isBroken && barrier < 0 && ring.rearm()
            round &+= 1
        }
        housekeep()
        counters.set(.inFlight, to: inFlight.count)
        return (total, hasMore)
    }

    /// How long events are to be left alone, in milliseconds: a frontend that sends them for
    /// nothing gets no more of this thread than a few a millisecond.
    private mutating func spuriousDelay(hadEvent: Bool, taken: Int) -> CInt {
        guard hadEvent, taken == 0 else {
            if taken > 0 { spuriousCount = 0 }
            return 0
        }
        counters.add(1, to: .spuriousEvents)
        spuriousCount &+= 1
        guard spuriousCount > Self.spuriousLimit else { return 0 }
        let doublings = (spuriousCount &- Self.spuriousLimit) / Self.spuriousLimit
        return 1 << CInt(min(doublings, Self.delayDoublings))
    }

    private var idleNanoseconds: UInt64 {
        let idle = configuration.idleTime.wholeNanoseconds
        // With no room left, whatever was not used lately makes room.
        return persistent.hasOverflowed ? min(idle, Self.housekeepingInterval) : idle
    }

    /// Gives idle grants back, and tells the counters how many there are.
    private mutating func housekeep() {
        guard isPersistent else { return }
        if now >= nextHousekeeping, persistent.oldest > 0 {
            nextHousekeeping = now &+ Self.housekeepingInterval
            let evicted = persistent.evict(now: now, idle: idleNanoseconds, &mapper)
            counters.add(evicted, to: .grantEvictions)
        }
        counters.set(.grantsMapped, to: persistent.mappedCount)
        counters.set(.grantsPeak, to: persistent.peakCount)
    }

    /// When idle grants are to be looked for, from now; negative for never.
    private var millisecondsToHousekeeping: CInt {
        guard isPersistent, let oldest = persistent.oldestUse else { return -1 }
        let due = max(oldest &+ idleNanoseconds, nextHousekeeping)
        guard due > now else { return 1 }
        return CInt(min((due &- now) / 1_000_000 &+ 1, 3_600_000))
    }

    /// Ends the queue: waits for the storage, answers what it has done, and unmaps everything.
    ///
    /// A request that was not taken stays in the ring, for the next backend. The storage is waited
    /// for as long as it takes, because it may still write the frontend's pages.
    ///
    /// - Returns: How many pages the system has refused to unmap; they go with the mapper.
    mutating func close() -> Int {
        storage.flushSubmissions()
        now = clock.nanoseconds
        while underWayCount > 0 {
            if takeCompletions() == 0, let descriptor = storage.completionDescriptor {
                descriptor.waitUntilReadable(milliseconds: 1000)
            }
            storage.flushSubmissions()
        }
        precondition(inFlight.count == 0, "a request has neither storage nor response")
        if !isBroken { publishResponses() }
        var left = persistent.disconnect(&mapper)
        do throws(HypervisorError) {
            try mapper.unmap(ringMapping)
        } catch {
            left &+= Int(ringMapping.count)
        }
        counters.set(.grantsMapped, to: persistent.mappedCount)
        counters.set(.inFlight, to: 0)
        return left
    }
}
