/// When the collector runs next: one schedule slot, pushed back while passes free little and pulled
/// forward by new garbage.
///
/// A value without a clock; the unit is the tick, ``tickRate`` of them a second. The rule is the one
/// whose trace was published with the collector of the Linux destination cache in October 2007.
public struct CollectorPace: Equatable, Sendable {
    /// Ticks a second.
    public let tickRate: UInt64
    /// The number of the processor that the passes run on: it sets rounded delays apart by
    /// ``skew`` ticks, so that processors do not all wake at once.
    public let processor: UInt64
    /// The delay before the next pass, exact (`timer_expires`).
    public private(set) var delay: UInt64
    /// By how much the delay grows next (`timer_inc`).
    public private(set) var step: UInt64
    /// The tick of the next pass, or `nil` when none is due: the schedule's one slot.
    public private(set) var deadline: UInt64?

    /// Ticks between two processors' rounded wake-ups.
    public static let skew: UInt64 = 3

    /// The shortest delay, 100 ms (`GC_MIN`).
    public var shortestDelay: UInt64 { tickRate / 10 }
    /// The first step, 500 ms (`GC_INC`).
    public var firstStep: UInt64 { tickRate / 2 }
    /// The longest delay, 120 s (`GC_MAX`).
    public var longestDelay: UInt64 { 120 * tickRate }

    /// A pace at rest: nothing is due.
    ///
    /// - Precondition: There are at least 10 ticks a second.
    public init(tickRate: UInt64, processor: UInt64 = 0) {
        precondition(tickRate >= 10)
        self.tickRate = tickRate
        self.processor = processor
        delay = 0
        step = 120 * tickRate
    }

    /// Something was newly retired: a schedule that had been pushed back starts anew and replaces the
    /// one that was set.
    public mutating func garbageArrived(now: UInt64) {
        guard step > firstStep else { return }
        step = firstStep
        delay = shortestDelay
        deadline = now + delay
    }

    /// Something wants a pass at once; a pass that is due anyway is the same one.
    public mutating func passWanted(now: UInt64) {
        deadline = min(deadline ?? now, now)
    }

    /// A pass begins: the slot is empty until it ends.
    public mutating func passBegan() {
        deadline = nil
    }

    /// A pass has ended.
    ///
    /// - Parameters:
    ///   - freed: How many entries it freed.
    ///   - delayed: How many it left.
    ///   - now: The tick at its end.
    /// - Returns: In how many ticks the next one is due, rounded; 0 when none is.
    public mutating func passEnded(freed: Int, delayed: Int, now: UInt64) -> UInt64 {
        guard delayed > 0 else {
            step = longestDelay
            deadline = nil
            return 0
        }
        if freed <= delayed / 10 {
            delay = min(delay + step, longestDelay)
            step += firstStep
        } else {
            step = firstStep
            delay = shortestDelay
        }
        let wait = delay > 4 * tickRate ? rounded(delay, from: now) : delay
        deadline = now + wait
        return wait
    }

    /// A long delay moved so that it ends at a whole second, or at this processor's skew from one:
    /// down to a quarter of a second earlier, otherwise later.
    internal func rounded(_ delay: UInt64, from now: UInt64) -> UInt64 {
        let skew = Self.skew * processor
        var target = now + delay + skew
        let remainder = target % tickRate
        target -= remainder
        if remainder >= tickRate / 4 { target += tickRate }
        return target > now + skew ? target - skew - now : delay
    }
}
