import TestSupport
import Testing

@testable import RoostRouter

@Suite("Scans and quotas of exceptions")
struct ExceptionScanTests {
    private static let first = ExceptionRig.first
    private static let second = ExceptionRig.second

    /// What a flood brings about each destination.
    enum Flood: CaseIterable, Sendable {
        /// "Too big" messages for destinations nobody sends to.
        case reports
        /// Failures of hosts on the link that are not there.
        case failures
        /// Reports, each with one packet that uses it.
        case reportsUsedOnce
        /// Reports, each with two packets: strangers are confirmed until the space is full.
        case reportsUsedTwice
    }

    /// A share in which a flood shows soon.
    private static var share: QuotaLimits {
        var share = QuotaLimits(each: 1000)
        share[.probation] = 64
        share[.exceptions] = 256
        share[.entries] = 2000
        return share
    }

    @Test(
        "NET-12: 250,000 random destinations evict nothing in use and stay within the bound",
        arguments: Flood.allCases)
    func flood(_ flood: Flood) throws {
        let rig = try ExceptionRig(share: Self.share)
        let nextHop = rig.nextHop(isOnLink: true)
        let other = rig.nextHop(in: Self.second)
        let inUse = (0..<100 as Range<UInt32>).map { ExceptionPlace(nextHop, $0) }
        let others = (0..<40 as Range<UInt32>).map { ExceptionPlace(other, $0) }
        for place in inUse + others {
            _ = rig.learnMTU(1400, of: place)
            rig.use(place)
            rig.use(place)
        }
        let entries = (inUse + others).map { rig.find($0) }
        var random = SeededRandom(seed: 12)
        var most = 0
        for step in 0..<250_000 {
            // 1,250 strangers a second, and those in use carry one packet each in 50 seconds.
            if step % 5 == 0 { rig.now += 4 }
            if step % 62_500 == 62_499 { inUse.forEach(rig.use) }
            if step % 1000 == 0 { rig.collectAhead() }
            let number = UInt32.random(in: 1000...UInt32.max, using: &random)
            let place = ExceptionPlace(nextHop, number)
            switch flood {
            case .reports: _ = rig.learnMTU(1400, of: place)
            case .failures: _ = rig.learnFailure(of: place)
            case .reportsUsedOnce:
                _ = rig.learnMTU(1400, of: place)
                rig.use(place)
            case .reportsUsedTwice:
                _ = rig.learnMTU(1400, of: place)
                rig.use(place)
                rig.use(place)
            }
            most = max(most, rig.entryCount(of: Self.first))
        }
        #expect((inUse + others).map { rig.find($0) } == entries)
        #expect(rig.quotas.used(.probation, by: Self.first) <= 64)
        #expect(rig.quotas.used(.exceptions, by: Self.first) <= 256)
        #expect(most <= 2000)
        #expect(rig.exceptions.index.keys.bucketCount * 5 <= 64 * 5 + 64 + 256 + 64)
        // The other namespace: nothing moved, nothing refused.
        #expect(rig.exceptions.count(in: Self.second) == 40)
        #expect(rig.quotas.used(.probation, by: Self.second) == 40)
        for kind in QuotaKind.allCases {
            #expect(rig.quotas.refused(kind, to: Self.second) == 0)
        }
        #expect(
            rig.exceptions.counts.learned + rig.exceptions.counts.refused.reduce(0, +) > 225_000)
    }

    @Test("NET-12: without use a scan leaves no more than probation holds, and confirms nothing")
    func probation() throws {
        let rig = try ExceptionRig(share: Self.share)
        let nextHop = rig.nextHop()
        for number in 0..<5000 as Range<UInt32> {
            _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number))
            if number % 500 == 0 { rig.collectAhead() }
        }
        #expect(rig.exceptions.counts.confirmed == 0)
        #expect(rig.quotas.used(.exceptions, by: Self.first) == 0)
        // The bound in force is drawn between three quarters of the quota and all of it.
        #expect((47...64).contains(rig.quotas.used(.probation, by: Self.first)))
        #expect(
            rig.exceptions.counts.evictedProbation + UInt64(rig.exceptions.count(in: Self.first))
                == rig.exceptions.counts.learned)
    }

    @Test("NET-12: what was used moves out of probation when its turn comes")
    func confirmation() throws {
        let rig = try ExceptionRig(share: Self.share)
        let nextHop = rig.nextHop()
        let place = ExceptionPlace(nextHop, 1)
        _ = rig.learnMTU(1400, of: place)
        #expect(rig.exceptions.space(of: place) == .probation)
        rig.use(place)
        rig.use(place)
        for number in 100..<200 as Range<UInt32> {
            _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number))
        }
        #expect(rig.exceptions.space(of: place) == .confirmed)
        #expect(rig.exceptions.counts.confirmed == 1)
    }

    @Test("NET-12: what carried no packet for a minute makes room for what does")
    func outOfUse() throws {
        var share = Self.share
        share[.exceptions] = 10
        let rig = try ExceptionRig(share: share)
        let nextHop = rig.nextHop()
        func learnUsed(_ numbers: Range<UInt32>) {
            for number in numbers {
                let place = ExceptionPlace(nextHop, number)
                _ = rig.learnMTU(1400, of: place)
                rig.use(place)
                rig.use(place)
            }
        }
        func confirmed(_ numbers: Range<UInt32>) -> Int {
            numbers.count { rig.exceptions.space(of: ExceptionPlace(nextHop, $0)) == .confirmed }
        }
        learnUsed(0..<100)
        #expect(confirmed(0..<100) == 10)
        rig.now += 59_000
        rig.use(ExceptionPlace(nextHop, 3))
        learnUsed(100..<200)
        #expect(confirmed(0..<100) == 10)
        rig.now += 2_000
        learnUsed(200..<300)
        #expect(rig.exceptions.space(of: ExceptionPlace(nextHop, 3)) == .confirmed)
        #expect(confirmed(0..<100) == 1)
        #expect(confirmed(100..<300) == 9)
    }

    @Test("NET-12: a failure in use is no reason to keep it")
    func failures() throws {
        let rig = try ExceptionRig(share: Self.share)
        let nextHop = rig.nextHop(isOnLink: true)
        let place = ExceptionPlace(nextHop, 1)
        _ = rig.learnFailure(of: place)
        rig.use(place)
        rig.use(place)
        for number in 100..<200 as Range<UInt32> {
            _ = rig.learnFailure(of: ExceptionPlace(nextHop, number))
        }
        #expect(rig.find(place).isNone)
    }

    @Test("NET-16: without room, a fact is refused with its reason, and what there was stays")
    func refusals() throws {
        var share = QuotaLimits(each: 100)
        share[.probation] = 0
        share[.exceptions] = 2
        let rig = try ExceptionRig(share: share)
        let nextHop = rig.nextHop()
        let discard = ExceptionFacts.Policy(action: .discard, error: .none)
        let report = rig.learnMTU(1400, of: ExceptionPlace(nextHop, 1))
        #expect(report == .refused(.exceptionQuota))
        #expect(rig.quotas.refused(.probation, to: Self.first) == 1)
        #expect(rig.setPolicy(discard, of: ExceptionPlace(nextHop, 2)) == .learned)
        #expect(rig.setPolicy(discard, of: ExceptionPlace(nextHop, 3)) == .learned)
        // Pinned exceptions make room for nobody.
        #expect(
            rig.setPolicy(discard, of: ExceptionPlace(nextHop, 4)) == .refused(.exceptionQuota))
        #expect(rig.word(ExceptionPlace(nextHop, 2)).output == .discard)
        #expect(rig.exceptions.counts.refused[ExceptionRefusal.exceptionQuota.rawValue] == 2)
    }

    @Test("NET-16: entries that wait to be destroyed count against their namespace only")
    func entryQuota() throws {
        var share = QuotaLimits(each: 1000)
        share[.entries] = 10
        share[.probation] = 4
        let rig = try ExceptionRig(share: share)
        let nextHop = rig.nextHop()
        let other = rig.nextHop(in: Self.second)
        // Nothing is collected: each one dropped keeps its entry.
        let outcomes = (0..<20 as Range<UInt32>).map {
            rig.learnMTU(1400, of: ExceptionPlace(nextHop, $0))
        }
        // The next hop's own is the tenth.
        #expect(outcomes.count { $0 == .learned } == 9)
        #expect(outcomes.suffix(11).allSatisfy { $0 == .refused(.entryQuota) })
        #expect(rig.quotas.refused(.entries, to: Self.first) == 11)
        for number in 0..<9 as Range<UInt32> {
            #expect(rig.learnMTU(1400, of: ExceptionPlace(other, number)) == .learned)
        }
        rig.collect()
        #expect(rig.learnMTU(1400, of: ExceptionPlace(nextHop, 99)) == .learned)
    }

    @Test("a next hop's exceptions are bounded, the bound is not to be foretold, the oldest goes")
    func perNextHop() throws {
        let rig = try ExceptionRig(perNextHop: 5, entries: 60_000)
        var sizes: Set<Int> = []
        for round in 0..<50 as Range<UInt32> {
            let nextHop = rig.nextHop()
            for number in 0..<30 as Range<UInt32> {
                _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, round << 8 | number))
            }
            rig.collectAhead()
            let kept = (0..<30 as Range<UInt32>).filter {
                !rig.find(ExceptionPlace(nextHop, round << 8 | $0)).isNone
            }
            sizes.insert(kept.count)
            #expect((5...9).contains(kept.count))
            #expect(kept == Array((30 - UInt32(kept.count)..<30)))
        }
        #expect(sizes.count > 1)
    }
}
