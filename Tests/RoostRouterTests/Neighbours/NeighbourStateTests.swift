@testable import RoostRouter
import Testing
import TestSupport

@Suite("States of neighbours")
struct NeighbourStateTests {
    private static let first = MACAddress(rawValue: 0x0200_0000_0001)
    private static let second = MACAddress(rawValue: 0x0200_0000_0002)
    private static let start: UInt64 = 1_000_000

    /// A state that stands in a phase, reached by events, and the time then.
    private static func state(in phase: NeighbourPhase) -> (NeighbourState, now: UInt64) {
        var random = SeededRandom(seed: 1)
        let timing = NeighbourTiming()
        var state = NeighbourState()
        var now = start
        func take(_ event: NeighbourEvent) {
            _ = state.handle(event, now: now, timing: timing, random: &random)
        }
        let solicited = NeighbourEvent.answer(
            NeighbourAnswer(link: first, isSolicited: true, isOverride: true, isRouter: nil))
        switch phase {
        case .none: break
        case .noARP: state = NeighbourState(noARP: first)
        case .permanent: state = NeighbourState(permanent: first)
        case .incomplete: take(.packet)
        case .failed:
            take(.packet)
            for _ in 0..<3 {
                now = state.deadline
                take(.timer)
            }
        case .reachable, .stale, .delay, .probe:
            take(.packet)
            take(solicited)
            if phase == .reachable { break }
            now = state.deadline
            take(.timer)
            if phase == .stale { break }
            take(.packet)
            if phase == .delay { break }
            now = state.deadline
            take(.timer)
        }
        return (state, now)
    }

    /// A line of the table: what a phase, an event and a time after it lead to.
    struct Row: Sendable, CustomTestStringConvertible {
        var from: NeighbourPhase
        var event: NeighbourEvent
        var after: UInt64 = 0
        var phase: NeighbourPhase
        var actions: NeighbourActions = []
        var keepsLink = true
        var testDescription: String { "\(from.name) + \(event) after \(after) ms: \(phase.name)" }
    }

    private static func answer(
        _ link: MACAddress?, solicited: Bool = false, override: Bool = false
    ) -> NeighbourEvent {
        .answer(
            NeighbourAnswer(
                link: link, isSolicited: solicited, isOverride: override, isRouter: nil))
    }

    private static let rows: [Row] =
        [
            // A packet to send.
            Row(from: .none, event: .packet, phase: .incomplete, actions: [.queue, .solicitGroup]),
            Row(from: .incomplete, event: .packet, phase: .incomplete, actions: .queue),
            Row(from: .reachable, event: .packet, phase: .reachable, actions: .send),
            Row(from: .stale, event: .packet, phase: .delay, actions: .send),
            Row(from: .delay, event: .packet, phase: .delay, actions: .send),
            Row(from: .probe, event: .packet, phase: .probe, actions: .send),
            Row(from: .noARP, event: .packet, phase: .noARP, actions: .send),
            Row(from: .permanent, event: .packet, phase: .permanent, actions: .send),
            Row(from: .failed, event: .packet, after: 2_999, phase: .failed, actions: .fail),
            Row(
                from: .failed, event: .packet, after: 3_000, phase: .incomplete,
                actions: [.queue, .solicitGroup]),
            // Answers.
            Row(
                from: .incomplete, event: answer(second, solicited: true), phase: .reachable,
                actions: .flush, keepsLink: false),
            Row(
                from: .incomplete, event: answer(second), phase: .stale, actions: .flush,
                keepsLink: false),
            Row(from: .incomplete, event: answer(nil, solicited: true), phase: .incomplete),
            Row(
                from: .none, event: answer(second), phase: .stale, actions: .flush, keepsLink: false
            ),
            Row(
                from: .none, event: answer(second, solicited: true), phase: .stale,
                actions: .flush, keepsLink: false),
            Row(
                from: .failed, event: answer(second, solicited: true), phase: .reachable,
                actions: .flush, keepsLink: false),
            Row(
                from: .failed, event: answer(second), phase: .stale, actions: .flush,
                keepsLink: false),
            Row(
                from: .reachable, event: answer(second, override: true), phase: .stale,
                keepsLink: false),
            Row(
                from: .reachable, event: answer(second, solicited: true, override: true),
                phase: .reachable, keepsLink: false),
            Row(from: .reachable, event: answer(second, solicited: true), phase: .stale),
            Row(from: .reachable, event: answer(second), phase: .stale),
            Row(from: .stale, event: answer(second, solicited: true), phase: .stale),
            Row(from: .delay, event: answer(second, solicited: true), phase: .delay),
            Row(from: .probe, event: answer(second, solicited: true), phase: .probe),
            Row(
                from: .probe, event: answer(second, solicited: true, override: true),
                phase: .reachable, keepsLink: false),
            Row(from: .stale, event: answer(first, solicited: true), phase: .reachable),
            Row(from: .delay, event: answer(first, solicited: true), phase: .reachable),
            Row(from: .probe, event: answer(first, solicited: true), phase: .reachable),
            Row(from: .probe, event: answer(nil, solicited: true), phase: .reachable),
            Row(from: .reachable, event: answer(first, override: true), phase: .reachable),
            Row(from: .probe, event: answer(first, override: true), phase: .probe),
            Row(
                from: .delay, event: answer(second, override: true), phase: .stale,
                keepsLink: false),
            Row(
                from: .permanent, event: answer(second, solicited: true, override: true),
                phase: .permanent),
            Row(
                from: .noARP, event: answer(second, solicited: true, override: true),
                phase: .noARP),
            // Confirmation by something else.
            Row(from: .stale, event: .confirmation, phase: .reachable),
            Row(from: .delay, event: .confirmation, phase: .reachable),
            Row(from: .probe, event: .confirmation, phase: .reachable),
            Row(from: .incomplete, event: .confirmation, phase: .incomplete),
            Row(from: .failed, event: .confirmation, phase: .failed),
            Row(from: .none, event: .confirmation, phase: .none),
            // Time.
            Row(from: .incomplete, event: .timer, after: 999, phase: .incomplete),
            Row(
                from: .incomplete, event: .timer, after: 1_000, phase: .incomplete,
                actions: .solicitGroup),
            Row(from: .reachable, event: .timer, after: 14_999, phase: .reachable),
            Row(from: .reachable, event: .timer, after: 45_000, phase: .stale),
            Row(from: .stale, event: .timer, after: 59_999, phase: .stale),
            Row(from: .stale, event: .timer, after: 60_000, phase: .stale, actions: .forget),
            Row(from: .delay, event: .timer, after: 4_999, phase: .delay),
            Row(
                from: .delay, event: .timer, after: 5_000, phase: .probe, actions: .solicitStation),
            Row(
                from: .probe, event: .timer, after: 1_000, phase: .probe, actions: .solicitStation),
            Row(from: .failed, event: .timer, after: 2_999, phase: .failed),
            Row(from: .failed, event: .timer, after: 3_000, phase: .none, actions: .forget),
            Row(from: .none, event: .timer, after: 1_000_000, phase: .none),
            Row(from: .permanent, event: .timer, after: 1_000_000, phase: .permanent),
        ]
        // The port.
        + NeighbourPhase.allCases.map { phase in
            let isFixed = phase == .noARP || phase == .permanent
            return Row(
                from: phase, event: .portDown, phase: isFixed ? phase : .none,
                actions: isFixed ? [] : .forget)
        }

    @Test("NET-13: every line of the table of states", arguments: rows)
    func line(row: Row) {
        var (state, now) = Self.state(in: row.from)
        #expect(state.phase == row.from)
        let linkBefore = state.link
        var random = SeededRandom(seed: 2)
        let actions = state.handle(
            row.event, now: now + row.after, timing: NeighbourTiming(), random: &random)
        #expect(state.phase == row.phase)
        #expect(actions == row.actions)
        #expect(state.link == (row.keepsLink ? linkBefore : Self.second))
        #expect(state.phase.isTimed == (state.deadline != 0))
    }

    @Test("NET-13: a neighbour is asked for three times, a second apart, and then given up")
    func giveUp() {
        var (state, now) = Self.state(in: .incomplete)
        var random = SeededRandom(seed: 1)
        var asked = 1
        for _ in 0..<2 {
            now += 1_000
            let actions = state.handle(
                .timer, now: now, timing: NeighbourTiming(), random: &random)
            asked += actions == .solicitGroup ? 1 : 0
        }
        #expect(asked == 3)
        let last = state.handle(
            .timer, now: now + 1_000, timing: NeighbourTiming(), random: &random)
        #expect(last == .fail)
        #expect(state.phase == .failed)
    }

    @Test("NET-13: a known neighbour is asked three times by itself, and then given up")
    func probing() {
        var (state, now) = Self.state(in: .probe)
        var random = SeededRandom(seed: 1)
        for _ in 0..<2 {
            now += 1_000
            let actions = state.handle(
                .timer, now: now, timing: NeighbourTiming(), random: &random)
            #expect(actions == .solicitStation)
        }
        let last = state.handle(
            .timer, now: now + 1_000, timing: NeighbourTiming(), random: &random)
        #expect(last == .fail)
        #expect(state.phase == .failed)
    }

    @Test(
        "a reachable neighbour that was used lately is delayed, not stale",
        arguments: [4_999, 5_001])
    func usedLately(before: UInt64) {
        var (state, _) = Self.state(in: .reachable)
        var random = SeededRandom(seed: 1)
        let end = state.deadline
        _ = state.handle(.packet, now: end - before, timing: NeighbourTiming(), random: &random)
        _ = state.handle(.timer, now: end, timing: NeighbourTiming(), random: &random)
        #expect(state.phase == (before <= 5_000 ? .delay : .stale))
    }

    @Test("reachable times spread over a half to one and a half of the base", arguments: [1, 2, 3])
    func spread(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var times: [UInt64] = []
        for _ in 0..<1_000 {
            var state = NeighbourState()
            _ = state.handle(.packet, now: 1, timing: NeighbourTiming(), random: &random)
            _ = state.handle(
                Self.answer(Self.first, solicited: true), now: 1, timing: NeighbourTiming(),
                random: &random)
            times.append(state.deadline - 1)
        }
        #expect(times.allSatisfy { $0 >= 15_000 && $0 <= 45_000 })
        #expect(times.contains { $0 < 20_000 } && times.contains { $0 > 40_000 })
    }

    @Test("whether it is a router follows what it says, where it says so")
    func router() {
        var (state, now) = Self.state(in: .incomplete)
        var random = SeededRandom(seed: 1)
        func take(_ isRouter: Bool?) {
            _ = state.handle(
                .answer(
                    NeighbourAnswer(
                        link: Self.first, isSolicited: true, isOverride: true, isRouter: isRouter)),
                now: now, timing: NeighbourTiming(), random: &random)
        }
        take(true)
        #expect(state.isRouter)
        take(nil)
        #expect(state.isRouter)
        take(false)
        #expect(!state.isRouter)
    }
}
