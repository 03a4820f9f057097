internal import RoostMemory

/// Decides when a guest is to be slowed down, and by how much (QEMU: `migration_trigger_throttle`
/// and `mig_throttle_guest_down` of `migration/ram.c`).
///
/// A period ends with the first dirty sync that comes more than a second after it began. When the
/// guest dirtied more in it than a share of what was sent, that is a strike; at the second strike
/// (``MigrationDialect/qemu72``) or the third (`qemu2015`) the guest loses processor time, and the
/// count begins anew. A good period takes no strike back, and the first period never is one.
///
/// A value without a clock: the caller tells the time.
struct AutoConverge: Sendable {
    /// What came of a dirty sync that ended a period.
    struct Period: Equatable, Sendable {
        /// How fast the guest dirtied pages in it: `dirty-pages-rate`.
        let dirtyPagesPerSecond: UInt64
        /// The share of processor time to take from now on, or `nil`: as before.
        let newPercentage: Int?
    }

    /// A period is longer than this.
    static let periodFloor = Duration.milliseconds(1000)

    private let options: MigrationParameters.AutoConverge
    private let dialect: MigrationDialect
    private var periodStart: Duration?
    private var isFirstPeriod = true
    private var previousRate: UInt64 = 0
    private(set) var strikes = 0

    /// The share of processor time taken now, in percent; 0 before the first action.
    private(set) var percentage = 0

    /// Makes one that has seen nothing.
    ///
    /// - Precondition: The options pass ``MigrationParameters/AutoConverge/check()``.
    init(
        _ options: MigrationParameters.AutoConverge = MigrationParameters.AutoConverge(),
        dialect: MigrationDialect = .standard
    ) {
        self.options = options
        self.dialect = dialect
    }

    /// Takes note of a dirty sync.
    ///
    /// The first begins the first period.
    ///
    /// - Parameters:
    ///   - now: The time since the migration began.
    ///   - dirtied: Bytes of pages that became dirty since the period began.
    ///   - transferred: Bytes of page records sent since the period began.
    /// - Returns: What came of the period, or `nil` when it goes on; after a period the caller
    ///   counts both anew.
    mutating func sync(now: Duration, dirtied: UInt64, transferred: UInt64) -> Period? {
        guard let start = periodStart else {
            periodStart = now
            return nil
        }
        let elapsed = now - start
        guard elapsed > Self.periodFloor else { return nil }
        let newPercentage = strike(dirtied, transferred) ? act(dirtied, transferred) : nil
        let rate = Self.rate(pages: dirtied / UInt64(pageByteCount), in: elapsed)
        periodStart = now
        isFirstPeriod = false
        previousRate = rate
        return Period(dirtyPagesPerSecond: rate, newPercentage: newPercentage)
    }

    /// Whether the period is a strike, and the strikes are enough to act.
    private mutating func strike(_ dirtied: UInt64, _ transferred: UInt64) -> Bool {
        guard !isFirstPeriod, dirtied > threshold(transferred) else { return false }
        switch dialect {
        case .qemu72:
            strikes += 1
            guard strikes >= 2 else { return false }
        case .qemu2015:
            guard previousRate != 0 else { return false }
            let isEnough = strikes >= 2
            strikes += 1
            guard isEnough else { return false }
        }
        strikes = 0
        return true
    }

    /// How many bytes may be dirtied while so many are sent.
    private func threshold(_ transferred: UInt64) -> UInt64 {
        guard dialect == .qemu72 else { return transferred / 2 }
        // The quotient and the remainder apart, so that nothing overflows.
        let share = UInt64(options.threshold)
        return transferred / 100 * share + transferred % 100 * share / 100
    }

    /// Raises the share, and answers it when it changed.
    private mutating func act(_ dirtied: UInt64, _ transferred: UInt64) -> Int? {
        let before = percentage
        if percentage == 0 {
            percentage = options.initial
        } else {
            percentage = min(
                percentage + increment(dirtied, transferred), options.maximum)
        }
        return percentage == before ? nil : percentage
    }

    /// What an action adds.
    ///
    /// The tail is slowed by assuming that a guest dirties in proportion to the time it is given.
    private func increment(_ dirtied: UInt64, _ transferred: UInt64) -> Int {
        guard options.isTailSlow, dialect == .qemu72, dirtied > 0 else {
            return options.increment
        }
        let now = 100 - percentage
        let ideal = Double(now) * Double(threshold(transferred)) / Double(dirtied)
        return max(0, min(options.increment, now - Int(ideal)))
    }

    /// So many pages as a rate, in pages a second, counted in whole milliseconds as QEMU does.
    private static func rate(pages: UInt64, in elapsed: Duration) -> UInt64 {
        let milliseconds = max(1, UInt64(elapsed.inMilliseconds))
        let (product, overflow) = pages.multipliedReportingOverflow(by: 1000)
        return overflow ? pages / milliseconds * 1000 : product / milliseconds
    }
}

extension Duration {
    /// Whole milliseconds, 0 for less than none.
    var inMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }

    /// As a number of seconds.
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
