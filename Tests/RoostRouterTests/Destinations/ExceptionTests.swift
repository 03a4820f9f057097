import TestSupport
import Testing

@testable import RoostRouter

@Suite("Exceptions of next hops")
struct ExceptionTests {
    @Test("NET-13: a path MTU hangs off the next hop and ends after ten minutes")
    func pathMTU() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        let place = ExceptionPlace(nextHop, 7)
        let outcome = rig.learnMTU(1400, of: place)
        #expect(outcome == .learned)
        #expect(rig.mtu(place) == 1400)
        #expect(rig.word(place).output == .forward)
        #expect(rig.word(place).flags == [.isException, .isHost])
        #expect(rig.table.slab.word(of: nextHop).flags.contains(.hasExceptions))
        #expect(rig.find(ExceptionPlace(nextHop, 8)).isNone)
        rig.wait(599_999)
        #expect(rig.mtu(place) == 1400)
        rig.wait(257)
        #expect(rig.find(place).isNone)
        #expect(!rig.table.slab.word(of: nextHop).flags.contains(.hasExceptions))
    }

    @Test("NET-13: a second report lowers the MTU and keeps the earlier end")
    func earlierEnd() throws {
        let rig = try ExceptionRig()
        let place = ExceptionPlace(rig.nextHop(), 7)
        _ = rig.learnMTU(1400, of: place)
        let entry = rig.find(place)
        rig.wait(300_000)
        let raised = rig.learnMTU(1450, of: place)
        let lowered = rig.learnMTU(1300, of: place)
        #expect(raised == .ignored)
        #expect(lowered == .updated)
        #expect(rig.mtu(place) == 1300)
        #expect(rig.find(place) == entry)
        rig.wait(300_256)
        #expect(rig.find(place).isNone)
    }

    @Test("NET-13: a tiny MTU is kept at the floor, locked")
    func floor() throws {
        let rig = try ExceptionRig()
        let place = ExceptionPlace(rig.nextHop(), 7)
        _ = rig.learnMTU(100, of: place)
        #expect(rig.mtu(place) == 552)
        #expect(rig.word(place).flags.contains(.isMTULocked))
        let again = rig.learnMTU(540, of: place)
        #expect(again == .ignored)
    }

    @Test("NET-13: a redirect lasts five minutes and gives its neighbour back once")
    func redirect() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        let place = ExceptionPlace(nextHop, 7)
        let same = rig.learnRedirect(to: 0x0A00_0001, neighbour: 5, of: place)
        #expect(same == .ignored)
        _ = rig.learnMTU(1400, of: place)
        let outcome = rig.learnRedirect(to: 0x0A00_0002, neighbour: 5, of: place)
        #expect(outcome == .updated)
        let entry = rig.find(place)
        #expect(rig.table.slab.gateway(of: entry).low == 0x0A00_0002)
        #expect(rig.table.slab.link(of: entry).neighbour.rawValue == 5)
        #expect(rig.mtu(place) == 1400)
        rig.wait(300_256)
        #expect(rig.table.slab.gateway(of: rig.find(place)).low == 0x0A00_0001)
        #expect(rig.table.slab.link(of: rig.find(place)).neighbour.isNone)
        #expect(rig.mtu(place) == 1400)
        #expect(rig.table.slab.word(of: entry).flags.contains(.isKilled))
        rig.collect()
        #expect(rig.operations.releasedNeighbours == [5])
    }

    @Test("NET-13: a failure on the link is the destination's, and short")
    func linkFailure() throws {
        let rig = try ExceptionRig()
        let place = ExceptionPlace(rig.nextHop(isOnLink: true), 7)
        _ = rig.learnFailure(of: place)
        #expect(rig.word(place).output == .answerError)
        #expect(rig.word(place).error == .hostUnreachable)
        rig.wait(2_000)
        let again = rig.learnFailure(of: place)
        #expect(again == .ignored)
        rig.wait(1_256)
        #expect(rig.find(place).isNone)
    }

    @Test("NET-12: a gateway's failure is one fact of the next hop, whatever destinations find it")
    func gatewayFailure() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        for number in UInt32(0)..<1000 { _ = rig.learnFailure(of: ExceptionPlace(nextHop, number)) }
        #expect(rig.exceptions.count(in: ExceptionRig.first) == 0)
        #expect(rig.table.slab.word(of: nextHop).output == .answerError)
        // What is learned meanwhile does not outlast the failure as one.
        let place = ExceptionPlace(nextHop, 7)
        _ = rig.learnMTU(1400, of: place)
        #expect(rig.word(place).output == .forward)
        rig.wait(3_256)
        #expect(rig.table.slab.word(of: nextHop).output == .forward)
        #expect(rig.table.slab.word(of: nextHop).error == .none)
        _ = rig.learnFailure(of: place)
        rig.exceptions.nextHopAnswered(nextHop, in: &rig.table)
        #expect(rig.table.slab.word(of: nextHop).output == .forward)
    }

    @Test("a policy stays until it is taken back, and leaves other facts")
    func policy() throws {
        let rig = try ExceptionRig()
        let place = ExceptionPlace(rig.nextHop(), 7)
        let policy = ExceptionFacts.Policy(action: .answerError, error: .prohibited)
        let set = rig.setPolicy(policy, of: place)
        #expect(set == .learned)
        _ = rig.learnMTU(1400, of: place)
        #expect(rig.exceptions.space(of: place) == .pinned)
        rig.wait(700_000)
        #expect(rig.word(place).error == .prohibited)
        #expect(rig.mtu(place) == 0)
        _ = rig.learnMTU(1400, of: place)
        _ = rig.setPolicy(nil, of: place)
        #expect(rig.word(place).output == .forward)
        #expect(rig.mtu(place) == 1400)
    }

    @Test("NET-17: exceptions hold their next hop by one listed reference")
    func holder() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        for number in UInt32(0)..<3 { _ = rig.learnMTU(1400, of: ExceptionPlace(nextHop, number)) }
        let holders = rig.table.slab.holders(limit: 10)
        #expect(holders.map(\.handle) == [nextHop])
        #expect(holders.map(\.kind) == [.exception])
        rig.wait(600_256)
        #expect(rig.table.slab.holders(limit: 10).isEmpty)
    }

    @Test("who holds an entry learns whether it is still the one for a destination")
    func revalidation() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        let place = ExceptionPlace(nextHop, 7)
        func isCurrent(_ held: DestinationHandle, _ rig: ExceptionRig) -> Bool {
            rig.exceptions.index.isCurrent(
                held, nextHop: nextHop, high: 0, low: 7, namespace: ExceptionRig.first)
        }
        #expect(isCurrent(nextHop, rig))
        _ = rig.learnMTU(1400, of: place)
        let entry = rig.find(place)
        #expect(!isCurrent(nextHop, rig))
        #expect(isCurrent(entry, rig))
        _ = rig.learnRedirect(to: 9, neighbour: 1, of: place)
        #expect(!isCurrent(entry, rig))
    }

    @Test("a killed next hop, or one that never was, gets no exception")
    func deadNextHop() throws {
        let rig = try ExceptionRig()
        let nextHop = rig.nextHop()
        rig.table.kill(nextHop)
        let dead = rig.learnMTU(1400, of: ExceptionPlace(nextHop, 7))
        let none = rig.learnMTU(1400, of: ExceptionPlace(.none, 7))
        let other = ExceptionPlace(rig.nextHop(), 7)
        _ = rig.learnMTU(1400, of: other)
        let ofException = rig.learnFailure(of: ExceptionPlace(rig.find(other), 7))
        #expect(ofException == .ignored)
        #expect(rig.word(other).output == .forward)
        #expect(dead == .refused(.deadNextHop))
        #expect(none == .refused(.deadNextHop))
        #expect(rig.entryCount(of: ExceptionRig.first) == 3)
    }

    @Test(
        "whatever is learned and ends, all of it is given back",
        arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func conservation(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var share = QuotaLimits(each: 40)
        share[.probation] = 12
        let rig = try ExceptionRig(share: share, perNextHop: 20, entries: 300)
        let nextHops = [
            rig.nextHop(), rig.nextHop(port: 2), rig.nextHop(isOnLink: true),
            rig.nextHop(in: ExceptionRig.second),
        ]
        var claims: [UInt32: Int] = [:]
        for step in 0..<5_000 {
            let number = UInt32.random(in: 0..<60, using: &random)
            let place = ExceptionPlace(nextHops[Int.random(in: 0..<4, using: &random)], number)
            switch Int.random(in: 0..<12, using: &random) {
            case 0...2:
                _ = rig.learnMTU(UInt32.random(in: 0..<1600, using: &random), of: place)
            case 3, 4:
                let neighbour = UInt32.random(in: 1...9, using: &random)
                let outcome = rig.learnRedirect(
                    to: UInt64(neighbour), neighbour: neighbour, of: place)
                if outcome == .learned || outcome == .updated {
                    claims[neighbour, default: 0] += 1
                }
            case 5: _ = rig.learnFailure(of: place)
            case 6:
                let isSet = Int.random(in: 0..<4, using: &random) == 0
                _ = rig.setPolicy(
                    isSet ? ExceptionFacts.Policy(action: .discard, error: .none) : nil, of: place)
            case 7...8: if !rig.find(place).isNone { rig.use(place) }
            case 9: rig.wait(UInt64.random(in: 0..<200_000, using: &random))
            case 10:
                _ = rig.exceptions.neighbourLost(
                    NeighbourHandle(rawValue: number % 9 + 1), of: &rig.table,
                    operations: &rig.operations, now: rig.now, budget: 3)
            default: if step % 3 == 0 { rig.collectAhead() }
            }
            for namespace in [ExceptionRig.first, ExceptionRig.second] {
                let spaces =
                    rig.quotas.used(.probation, by: namespace)
                    + rig.quotas.used(.exceptions, by: namespace)
                #expect(spaces == rig.exceptions.count(in: namespace))
                #expect(spaces <= rig.entryCount(of: namespace))
            }
        }
        for nextHop in nextHops {
            let isDone = rig.exceptions.nextHopLost(
                nextHop, of: &rig.table, now: rig.now, budget: 1000)
            #expect(isDone)
            #expect(rig.table.slab.referenceCount(of: nextHop) == 0)
        }
        rig.collect()
        for kind in QuotaKind.allCases {
            #expect(rig.quotas.used(kind, by: ExceptionRig.first) == 0)
            #expect(rig.quotas.used(kind, by: ExceptionRig.second) == 0)
        }
        #expect(rig.exceptions.index.keys.count == 0)
        #expect(rig.exceptions.timers.count == 0)
        #expect(rig.table.count == nextHops.count)
        let released = rig.operations.releasedNeighbours
        #expect(released.reduce(into: [:]) { $0[$1, default: 0] += 1 } == claims)
    }
}
