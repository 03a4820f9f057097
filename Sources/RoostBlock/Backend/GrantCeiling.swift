internal import Synchronization

/// How many persistent grants all queues of a device may have together, and the one warning that
/// a device gives when they are more.
///
/// Shared by the threads of a device's queues; touched only when grants are mapped or unmapped.
final class GrantCeiling: Sendable {
    private let left: Atomic<Int>
    private let hasWarned = Atomic<Bool>(false)
    private let warn: @Sendable () -> Void

    /// Makes a ceiling.
    ///
    /// - Parameters:
    ///   - limit: How many pages.
    ///   - warn: Is called once, on a queue's thread, when a grant finds no room.
    init(limit: Int, warn: @Sendable @escaping () -> Void = {}) {
        left = Atomic(limit)
        self.warn = warn
    }

    /// Takes pages, as many as are left up to a number.
    ///
    /// - Parameter count: How many are wanted.
    /// - Returns: How many there were.
    func take(upTo count: Int) -> Int {
        var seen = left.load(ordering: .relaxed)
        while true {
            let taken = max(min(seen, count), 0)
            guard taken > 0 else { return 0 }
            let (done, now) = left.compareExchange(
                expected: seen, desired: seen &- taken, ordering: .relaxed)
            if done { return taken }
            seen = now
        }
    }

    /// Gives pages back.
    func give(_ count: Int) {
        left.wrappingAdd(count, ordering: .relaxed)
    }

    /// Says once that there is no room.
    func warnOnce() {
        guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
        warn()
    }
}
