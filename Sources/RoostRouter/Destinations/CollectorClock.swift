internal import Glibc

/// The clocks a collector reads, so that tests can give it theirs.
public protocol CollectorClock {
    /// The coarse tick, in the table's ticks a second.
    func ticks() -> UInt64
    /// How long the calling thread has run, in nanoseconds.
    func threadNanoseconds() -> UInt64
    /// The time that passes for everybody, in nanoseconds.
    func wallNanoseconds() -> UInt64
}

/// The system's clocks, with 1000 ticks a second.
public struct SystemCollectorClock: CollectorClock, Sendable {
    /// The system's clocks.
    public init() {}

    /// Milliseconds of the monotonic clock.
    public func ticks() -> UInt64 { read(CLOCK_MONOTONIC_COARSE) / 1_000_000 }

    /// The processor time of the calling thread; a system call, about 0.2 µs.
    public func threadNanoseconds() -> UInt64 { read(CLOCK_THREAD_CPUTIME_ID) }

    /// The monotonic clock.
    public func wallNanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }

    private func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        // SAFETY: the address of a local for the time of the call. The clocks are there on every Linux.
        _ = unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
