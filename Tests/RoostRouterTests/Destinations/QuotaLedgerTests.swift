import TestSupport
import Testing

@testable import RoostRouter

@Suite("Quotas of namespaces")
struct QuotaLedgerTests {
    private static let first = NamespaceIndex(rawValue: 1)
    private static let second = NamespaceIndex(rawValue: .max)

    @Test(
        "NET-16: a namespace at its limit is refused and another takes all of its own",
        arguments: QuotaKind.allCases)
    func isolation(kind: QuotaKind) throws {
        let ledger = try QuotaLedger(ceilings: QuotaLimits(each: 10))
        try ledger.setLimits(QuotaLimits(each: 7), of: Self.first)
        try ledger.setLimits(QuotaLimits(each: 3), of: Self.second)
        let taken = (0..<100).map { _ in ledger.take(kind, for: Self.first) }
        #expect(taken == Array(repeating: true, count: 7) + Array(repeating: false, count: 93))
        #expect(ledger.refused(kind, to: Self.first) == 93)
        #expect(ledger.refused(kind, to: Self.second) == 0)
        #expect((0..<3).allSatisfy { _ in ledger.take(kind, for: Self.second) })
        #expect(ledger.isFull(kind, of: Self.second))
        for other in QuotaKind.allCases where other != kind {
            #expect(ledger.used(other, by: Self.first) == 0)
            #expect(!ledger.isFull(other, of: Self.first))
        }
    }

    @Test("NET-16: shares that would pass the process's ceiling are refused, and nothing changes")
    func ceiling() throws {
        var ceilings = QuotaLimits(each: 100)
        ceilings[.probation] = 10
        let ledger = try QuotaLedger(ceilings: ceilings)
        try ledger.setLimits(QuotaLimits(each: 6), of: Self.first)
        #expect(throws: RouterError.self) {
            try ledger.setLimits(QuotaLimits(each: 5), of: Self.second)
        }
        #expect(ledger.limit(.entries, of: Self.second) == 0)
        #expect(!ledger.take(.entries, for: Self.second))
        try ledger.setLimits(QuotaLimits(each: 4), of: Self.second)
        // A share can be exchanged for another when it alone makes the room.
        try ledger.setLimits(QuotaLimits(each: 5), of: Self.first)
        try ledger.setLimits(QuotaLimits(each: 5), of: Self.second)
        ledger.removeNamespace(Self.first)
        try ledger.setLimits(QuotaLimits(each: 10), of: Self.second)
    }

    @Test("NET-16: a lowered share keeps what is taken and gives nothing more until it fits")
    func lowering() throws {
        let ledger = try QuotaLedger(ceilings: QuotaLimits(each: 10))
        try ledger.setLimits(QuotaLimits(each: 5), of: Self.first)
        for _ in 0..<5 { #expect(ledger.take(.exceptions, for: Self.first)) }
        try ledger.setLimits(QuotaLimits(each: 3), of: Self.first)
        for _ in 0..<3 {
            #expect(!ledger.take(.exceptions, for: Self.first))
            ledger.give(.exceptions, of: Self.first)
        }
        #expect(ledger.take(.exceptions, for: Self.first))
    }

    @Test("giving back more than was taken traps")
    func surplus() async {
        await #expect(processExitsWith: .failure) {
            let ledger = try QuotaLedger(ceilings: QuotaLimits(each: 1))
            ledger.give(.entries, of: NamespaceIndex(rawValue: 0))
        }
    }
}
