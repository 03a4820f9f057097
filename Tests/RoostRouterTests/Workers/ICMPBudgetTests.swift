import Testing

@testable import RoostRouter

@Suite("The budget of ICMP messages")
struct ICMPBudgetTests {
    private static let first = NamespaceIndex(rawValue: 1)
    private static let second = NamespaceIndex(rawValue: 2)
    private static let host = IPv4Address(rawValue: 0xC000_0201)
    private static let start: UInt64 = 1_000_000

    /// A budget whose random numbers repeat.
    private static func budget(_ limits: ICMPLimits = ICMPLimits()) throws -> ICMPBudget {
        try ICMPBudget(
            limits: limits, now: start - 100_000,
            random: KeyedRandom(key: SipHashKey(low: 1, high: 2)))
    }

    @Test(
        "NET-13: an IPv4 destination gets six errors at once and one a second",
        arguments: [ICMPErrorKind.unreachable, .packetTooBig, .timeExceeded, .parameterProblem])
    func ipv4(kind: ICMPErrorKind) throws {
        var budget = try Self.budget()
        var sent = 0
        for _ in 0..<10 where budget.permits(kind, to: Self.host, in: Self.first, now: Self.start) {
            sent += 1
        }
        #expect(sent == 6)
        #expect(budget.permits(kind, to: Self.host, in: Self.first, now: Self.start + 999) == false)
        #expect(budget.permits(kind, to: Self.host, in: Self.first, now: Self.start + 1000) == true)
        #expect(
            budget.permits(kind, to: Self.host, in: Self.first, now: Self.start + 1999) == false)
        #expect(budget.refused(to: Self.first) == 6)
    }

    @Test("NET-13: an IPv6 destination gets ten errors at once and ten a second")
    func ipv6() throws {
        var budget = try Self.budget()
        let host = IPv6Address(high: 0x2001_0db8_0000_0000, low: 1)
        var sent = 0
        for tick in UInt64(0)...1000
        where budget.permits(.timeExceeded, to: host, in: Self.first, now: Self.start + tick) {
            sent += 1
        }
        #expect(sent == 20)
    }

    @Test("NET-13: redirects come at once, then after 20 ms × 2ⁿ, nine of them, then after silence")
    func redirects() throws {
        var budget = try Self.budget()
        var sent: [UInt64] = []
        // A packet a millisecond for a minute.
        for tick in UInt64(0)..<60_000
        where budget.permits(.redirect, to: Self.host, in: Self.first, now: Self.start + tick) {
            sent.append(tick)
        }
        let gaps = zip(sent, sent.dropFirst()).map { $1 - $0 }
        #expect(gaps == [41, 81, 161, 321, 641, 1281, 2561, 5121])
        #expect(sent.count == 9)
        let last = Self.start + 59_999
        #expect(
            budget.permits(.redirect, to: Self.host, in: Self.first, now: last + 20_480) == false)
        // That packet was not silence.
        #expect(
            budget.permits(.redirect, to: Self.host, in: Self.first, now: last + 20_490) == false)
        #expect(
            budget.permits(.redirect, to: Self.host, in: Self.first, now: last + 40_971) == true)
    }

    @Test("NET-16: a namespace that floods spends its own tokens; another gets all it asks")
    func isolation() throws {
        var budget = try Self.budget()
        var sent = 0
        var others = 0
        for number in 0..<100_000 as Range<UInt32> {
            let now = Self.start + UInt64(number) / 100
            if budget.permits(
                .unreachable, to: IPv4Address(rawValue: 0x0A00_0000 + number), in: Self.first,
                now: now)
            {
                sent += 1
            }
            if number % 10_000 == 0
                && budget.permits(
                    .unreachable, to: IPv4Address(rawValue: 0x0B00_0000 + number), in: Self.second,
                    now: now)
            {
                others += 1
            }
        }
        // A second's thousand and the bucket, less what is held back for "too big".
        #expect(sent >= 1000 && sent <= 1050)
        #expect(others == 10)
        #expect(budget.refused(to: Self.second) == 0)
        #expect(budget.destinationCount(of: Self.first) == 1024)
        #expect(budget.destinationCount(of: Self.second) == 10)
    }

    @Test("NET-13: \"too big\" is still sent when nothing else is")
    func reserve() throws {
        var limits = ICMPLimits()
        limits.namespace = TokenBucket.Pace(perSecond: 0, burst: 40)
        limits.namespace.perSecond = 1
        var budget = try Self.budget(limits)
        func address(_ number: UInt32) -> IPv4Address { IPv4Address(rawValue: 1 << 24 + number) }
        var number: UInt32 = 0
        while budget.permits(.timeExceeded, to: address(number), in: Self.first, now: Self.start) {
            number += 1
        }
        #expect((20...30).contains(number))
        var urgent: UInt32 = 0
        while budget.permits(
            .packetTooBig, to: address(1000 + urgent), in: Self.first, now: Self.start)
        {
            urgent += 1
        }
        #expect(urgent == 10)
    }

    @Test("NET-13: a full bucket's size differs from time to time")
    func randomSize() throws {
        var budget = try Self.budget()
        var sizes: Set<Int> = []
        var number: UInt32 = 0
        for pause in UInt64(0)..<40 {
            var size = 0
            let now = Self.start + pause * 10_000
            while budget.permits(
                .packetTooBig, to: IPv4Address(rawValue: 1 << 24 + number), in: Self.first,
                now: now)
            {
                size += 1
                number += 1
            }
            sizes.insert(size)
            #expect((38...50).contains(size))
        }
        #expect(sizes.count > 5)
    }

    @Test("a namespace's destinations are forgotten in slices, and others' kept")
    func forgetting() throws {
        var budget = try Self.budget()
        for number in 0..<20 as Range<UInt32> {
            _ = budget.permits(
                .unreachable, to: IPv4Address(rawValue: number), in: Self.first, now: Self.start)
        }
        _ = budget.permits(.unreachable, to: Self.host, in: Self.second, now: Self.start)
        #expect(budget.forget(Self.first, budget: 15) == false)
        #expect(budget.forget(Self.first, budget: 15) == true)
        #expect(budget.destinationCount(of: Self.first) == 0)
        #expect(budget.destinationCount(of: Self.second) == 1)
    }
}
