import Testing

@testable import RoostMigration

/// When a guest is slowed down, and by how much (MIG-7).
@Suite struct AutoConvergeTests {
    /// Ends one period after the other, a little longer than a second each.
    private func run(
        _ converge: inout AutoConverge, _ periods: [(dirtied: UInt64, transferred: UInt64)]
    ) -> [Int?] {
        _ = converge.sync(now: .zero, dirtied: 0, transferred: 0)
        return periods.enumerated().map { index, period in
            converge.sync(
                now: .milliseconds(1001 * (index + 1)), dirtied: period.dirtied,
                transferred: period.transferred)?.newPercentage
        }
    }

    private static let bad: (UInt64, UInt64) = (40_960, 40_960)
    private static let good: (UInt64, UInt64) = (0, 40_960)

    @Test(
        arguments: [
            (.qemu72, [nil, nil, 20, nil, 30, nil, 40]),
            (.qemu2015, [nil, nil, nil, 20, nil, nil, 30]),
        ] as [(MigrationDialect, [Int?])])
    func `it acts on the second strike, and on the third in 2015`(
        dialect: MigrationDialect, expected: [Int?]
    ) {
        var converge = AutoConverge(dialect: dialect)
        #expect(run(&converge, Array(repeating: Self.bad, count: 7)) == expected)
    }

    @Test func `good periods take no strike back`() {
        var converge = AutoConverge()
        let periods = [Self.good, Self.bad, Self.good, Self.good, Self.bad, Self.bad]
        #expect(run(&converge, periods) == [nil, nil, nil, nil, 20, nil])
        #expect(converge.strikes == 1)
    }

    @Test func `in 2015 a period after one without a rate is no strike`() {
        var converge = AutoConverge(dialect: .qemu2015)
        let periods = [Self.good, Self.bad, Self.bad, Self.bad, Self.bad]
        #expect(run(&converge, periods) == [nil, nil, nil, nil, 20])
    }

    @Test(
        arguments: [
            (.qemu72, 50, 50, 100, false), (.qemu72, 50, 51, 100, true),
            (.qemu72, 50, 50, 101, false), (.qemu72, 1, 1, 100, false),
            (.qemu72, 1, 1, 99, true), (.qemu72, 100, 100, 100, false),
            (.qemu72, 100, 101, 100, true), (.qemu72, 50, 0, 0, false), (.qemu72, 50, 1, 0, true),
            (.qemu72, 100, UInt64.max, UInt64.max, false),
            (.qemu2015, 100, 50, 101, false), (.qemu2015, 100, 51, 101, true),
        ] as [(MigrationDialect, Int, UInt64, UInt64, Bool)])
    func `a strike is more than the share of what was sent`(
        dialect: MigrationDialect, percentage: Int, dirtied: UInt64, transferred: UInt64,
        isStrike: Bool
    ) {
        var options = MigrationParameters.AutoConverge()
        options.threshold = percentage
        var converge = AutoConverge(options, dialect: dialect)
        _ = run(&converge, [(1 << 20, 1 << 40), (dirtied, transferred)])
        #expect(converge.strikes == (isStrike ? 1 : 0))
    }

    @Test(arguments: [(999, false), (1000, false), (1001, true)])
    func `a period ends after more than a second`(milliseconds: Int, ends: Bool) {
        var converge = AutoConverge()
        _ = converge.sync(now: .seconds(5), dirtied: 0, transferred: 0)
        let period = converge.sync(
            now: .seconds(5) + .milliseconds(milliseconds), dirtied: 4096, transferred: 0)
        #expect((period != nil) == ends)
    }

    @Test func `the rate is of the period`() {
        var converge = AutoConverge()
        _ = converge.sync(now: .seconds(1), dirtied: 0, transferred: 0)
        let period = converge.sync(now: .seconds(3), dirtied: 3 * 4096, transferred: 1 << 30)
        #expect(period == AutoConverge.Period(dirtyPagesPerSecond: 1, newPercentage: nil))
    }

    @Test func `the share is at most the maximum, which is told once`() {
        var options = MigrationParameters.AutoConverge()
        options.initial = 90
        options.increment = 7
        var converge = AutoConverge(options)
        let shares = run(&converge, Array(repeating: Self.bad, count: 9))
        #expect(shares == [nil, nil, 90, nil, 97, nil, 99, nil, nil])
        #expect(converge.percentage == 99)
    }

    /// 80 % are left, so that at dirtied = n % too much the guest is to keep 80 / (1 + n %).
    @Test(
        arguments: [
            (.qemu72, 1000, 200, 30), (.qemu72, 105, 200, 24), (.qemu72, 101, 200, 21),
            (.qemu2015, 105, 200, 30),
        ] as [(MigrationDialect, UInt64, UInt64, Int)])
    func `a slow tail takes no more than is needed`(
        dialect: MigrationDialect, dirtied: UInt64, transferred: UInt64, second: Int
    ) {
        var options = MigrationParameters.AutoConverge()
        options.isTailSlow = true
        var converge = AutoConverge(options, dialect: dialect)
        let period = (dirtied * 4096, transferred * 4096)
        _ = run(&converge, Array(repeating: period, count: 7))
        // In 7.2 the third action has come by then; the second is the fifth period's.
        if dialect == .qemu2015 {
            #expect(converge.percentage == second)
        } else {
            var again = AutoConverge(options)
            #expect(run(&again, Array(repeating: period, count: 5)).last == second)
        }
    }

    @Test(
        arguments: [
            (0, 20, 10, 99), (101, 20, 10, 99), (50, 0, 10, 99), (50, 100, 10, 100),
            (50, 20, 0, 99), (50, 20, 100, 99), (50, 20, 10, 19), (50, 20, 10, 100),
        ])
    func `parameters outside their ranges are refused`(
        threshold: Int, initial: Int, increment: Int, maximum: Int
    ) throws {
        let options = MigrationParameters.AutoConverge(
            threshold: threshold, initial: initial,
            increment: increment, maximum: maximum)
        let failure = #expect(throws: MigrationError.self) { try options.check() }
        #expect(failure?.kind == .limit)
        try MigrationParameters.AutoConverge().check()
    }
}

/// How fast a migration may send (MIG-8).
@Suite struct RateLimiterTests {
    @Test(
        arguments: [
            (0, UInt64.max, false), (1000, 0, false), (1000, 100, false), (1000, 101, true),
            (9, 1, false), (9, 2, true), (2_000_000, 200_000, false), (2_000_000, 200_001, true),
        ] as [(UInt64, UInt64, Bool)])
    func `more than a tenth of a second's bytes is limited`(
        bytesPerSecond: UInt64, used: UInt64, isLimited: Bool
    ) {
        var limiter = RateLimiter(bytesPerSecond: bytesPerSecond)
        limiter.sent(used)
        #expect(limiter.isLimited == isLimited)
        #expect(limiter.pause(now: .milliseconds(30)) == (isLimited ? .milliseconds(70) : .zero))
        #expect(limiter.pause(now: .milliseconds(100)) == .zero)
        #expect(limiter.pause(now: .seconds(9)) == .zero)
    }

    @Test func `a slice ends after its time and the next begins empty`() {
        var limiter = RateLimiter(bytesPerSecond: 1000, now: .seconds(1))
        limiter.sent(150)
        #expect(limiter.endSlice(now: .milliseconds(1099)) == nil)
        #expect(limiter.isLimited)
        let slice = limiter.endSlice(now: .milliseconds(1120))
        #expect(slice == RateLimiter.Slice(byteCount: 150, duration: .milliseconds(120)))
        #expect(!limiter.isLimited)
        #expect(limiter.endSlice(now: .milliseconds(1219)) == nil)
        #expect(
            limiter.endSlice(now: .milliseconds(1220))
                == RateLimiter.Slice(byteCount: 0, duration: .milliseconds(100)))
    }

    @Test func `a limit that is changed holds at once`() {
        var limiter = RateLimiter(bytesPerSecond: 1000)
        limiter.sent(150)
        #expect(limiter.isLimited)
        limiter.bytesPerSecond = 1500
        #expect(!limiter.isLimited)
        limiter.bytesPerSecond = 0
        #expect(!limiter.isLimited)
        limiter.bytesPerSecond = 1499
        #expect(limiter.isLimited)
    }

    /// A sender that obeys comes to the limit, within one page a slice.
    @Test(arguments: [500_000, 2_000_000, 50_000_000] as [UInt64])
    func `a sender that obeys keeps the limit`(bytesPerSecond: UInt64) {
        var limiter = RateLimiter(bytesPerSecond: bytesPerSecond)
        var now = Duration.zero
        var total: UInt64 = 0
        while now < .seconds(10) {
            while !limiter.isLimited {
                limiter.sent(4104)
                total += 4104
            }
            now += limiter.pause(now: now)
            _ = limiter.endSlice(now: now)
        }
        #expect(total >= bytesPerSecond * 10)
        #expect(total <= bytesPerSecond * 10 + 4104 * 100)
    }
}

/// When the guest is stopped (MIG-8).
@Suite struct SwitchOverTests {
    private func after(
        _ byteCount: UInt64, _ duration: Duration, limit: Duration = .milliseconds(300),
        remaining: UInt64 = 0, rate: UInt64 = 0
    ) -> SwitchOver {
        var switchOver = SwitchOver(downtimeLimit: limit)
        switchOver.sliceEnded(
            RateLimiter.Slice(byteCount: byteCount, duration: duration), remaining: remaining,
            dirtyPagesPerSecond: rate)
        return switchOver
    }

    @Test func `before the first slice ended only nothing is small enough`() {
        let switchOver = SwitchOver()
        #expect(switchOver.threshold == 0)
        #expect(switchOver.shouldComplete(pending: 0))
        #expect(!switchOver.shouldComplete(pending: 1))
        #expect(switchOver.expectedDowntime == .milliseconds(300))
    }

    @Test(
        arguments: [
            (1_000_000, 100, 300, 3_000_000), (1_000_000, 200, 300, 1_500_000),
            (0, 100, 300, 0), (1_000_000, 100, 0, 0), (1_000_000, 100, 2_000_000, 20_000_000_000),
        ] as [(UInt64, Int, Int, UInt64)])
    func `what fits the downtime completes`(
        byteCount: UInt64, milliseconds: Int, limit: Int, threshold: UInt64
    ) {
        let switchOver = after(
            byteCount, .milliseconds(milliseconds), limit: .milliseconds(limit))
        #expect(switchOver.threshold == threshold)
        #expect(switchOver.shouldComplete(pending: 0))
        #expect(!switchOver.shouldComplete(pending: threshold + 1))
        if threshold > 0 {
            #expect(!switchOver.shouldComplete(pending: threshold))
            #expect(switchOver.shouldComplete(pending: threshold - 1))
        }
    }

    @Test(
        arguments: [
            (100_000, 1, 2000), (100_000, 0, 300), (10_000, 1, 300), (10_001, 1, 19_998),
        ] as [(UInt64, UInt64, Int64)])
    func `the expected downtime is foretold from telling slices`(
        byteCount: UInt64, rate: UInt64, milliseconds: Int64
    ) {
        let switchOver = after(
            byteCount, .milliseconds(100), remaining: 2_000_000, rate: rate)
        #expect(switchOver.expectedDowntime == .milliseconds(milliseconds))
    }

    @Test func `a slice that took an age foretells no more than a number can hold`() {
        let switchOver = after(10_001, .seconds(1_000_000), remaining: .max, rate: 1)
        #expect(switchOver.expectedDowntime > .seconds(1_000_000_000))
    }

    @Test func `a downtime that is changed holds at once`() {
        var switchOver = after(1_000_000, .milliseconds(100))
        switchOver.downtimeLimit = .milliseconds(1)
        #expect(switchOver.threshold == 10_000)
    }
}

/// When a migration is given up (MIG-7, MIG-8).
@Suite struct VerdictTests {
    private static let situation = Verdict.Situation(
        round: 101, elapsed: .seconds(61), dirtyBytesPerSecond: 410 * 1_048_576,
        linkBytesPerSecond: 300 * 1_048_576, pending: 10 << 20, roundRemainder: 150 << 20,
        downtimeLimit: .milliseconds(300), bandwidthLimit: 310 << 20, hasAutoConverge: false,
        throttlePercentage: 0, maximumThrottlePercentage: 99)

    private func judged(_ situation: Verdict.Situation) -> String? {
        Verdict(roundLimit: 1, timeLimit: .seconds(2)).judge(situation)?.description
    }

    @Test(
        arguments: [
            (nil, nil, nil), (101, nil, nil), (100, nil, "100 rounds"), (1, nil, "1 round"),
            (nil, 61, nil), (nil, 60, "1 min"), (101, 60, "1 min"), (0, 0, "0 rounds"),
        ] as [(UInt64?, Int?, String?)])
    func `it is given up when a bound is passed`(rounds: UInt64?, seconds: Int?, bound: String?) {
        let verdict = Verdict(roundLimit: rounds, timeLimit: seconds.map { .seconds($0) })
        let failure = verdict.judge(Self.situation)
        #expect((failure != nil) == (bound != nil))
        guard let failure, let bound else { return }
        #expect(failure.kind == .notConverging)
        #expect(
            failure.description
                == "does not converge after \(bound): dirties 410 MiB/s, link carries 300 MiB/s; "
                + "allow more downtime (some 626 ms) or more bandwidth (the limit is 310 MiB/s), "
                + "or turn auto-converge on")
    }

    @Test func `what is advised is what is not configured yet`() {
        var situation = Self.situation
        situation.bandwidthLimit = 0
        situation.hasAutoConverge = true
        situation.throttlePercentage = 40
        #expect(
            judged(situation)
                == "does not converge after 1 round: dirties 410 MiB/s, link carries 300 MiB/s; "
                + "allow more downtime (some 626 ms) or a faster link or more time "
                + "(auto-converge takes 40 % of the guest)")
        situation.downtimeLimit = .milliseconds(626)
        #expect(judged(situation)?.contains("downtime") == false)
        situation.throttlePercentage = 99
        #expect(
            judged(situation)
                == "does not converge after 1 round: dirties 410 MiB/s, link carries 300 MiB/s; "
                + "allow a faster link; auto-converge takes 99 % already")
    }

    @Test func `in the first round neither a dirty rate nor a downtime is told`() {
        var situation = Self.situation
        (situation.round, situation.dirtyBytesPerSecond) = (1, nil)
        (situation.roundRemainder, situation.pending) = (nil, 600 << 20)
        situation.bandwidthLimit = 0
        #expect(
            judged(situation)
                == "not complete after 2 s, still in the first round: link carries 300 MiB/s, "
                + "600 MiB are still to be sent, and what the guest dirties is not known yet; "
                + "allow more time (at this rate the round takes 2 s more) or a faster link")
        situation.linkBytesPerSecond = nil
        #expect(
            judged(situation)
                == "not complete after 2 s, still in the first round: what the link carries is "
                + "not known yet, 600 MiB are still to be sent, and what the guest dirties is "
                + "not known yet; allow more time or a faster link")
    }

    @Test func `a downtime that was not measured is advised without a figure`() {
        var situation = Self.situation
        situation.roundRemainder = nil
        #expect(judged(situation)?.contains("allow more downtime or more bandwidth") == true)
        situation.downtimeLimit = nil
        #expect(judged(situation)?.contains("allow more downtime or more bandwidth") == true)
    }

    @Test func `a guest that dirties less than the link carries is told what a round leaves`() {
        var situation = Self.situation
        situation.dirtyBytesPerSecond = 200 * 1_048_576
        #expect(
            judged(situation)?.contains(
                "link carries 300 MiB/s, but what a round leaves takes 501 ms and 300 ms are "
                    + "allowed; allow more downtime (some 626 ms)") == true)
    }

    @Test(
        arguments: [
            ([], nil), ([5], nil), ([5, 5], 5), ([100, 110], 110), ([100, 111], nil),
            ([10, 20, 40], nil), ([40, 20, 10], 40), ([10, 20, 40, 41], 41), ([0, 0], nil),
        ] as [([UInt64], UInt64?)])
    func `what rounds leave is known once it no longer grows`(
        rounds: [UInt64], levelled: UInt64?
    ) {
        var remainders = RoundRemainders()
        for round in rounds { remainders.add(round) }
        #expect(remainders.levelled == levelled)
    }
}
