import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostMigration

/// Whole migrations by a clock that goes on only while the source sleeps: how a guest that writes
/// too fast is slowed down (MIG-7), and how bandwidth and downtime are kept (MIG-8).
@Suite(.timeLimit(.minutes(2))) struct SourceConvergenceTests {
    init() { BrokenPipes.ignore() }

    /// A migration whose slices end when it sleeps.
    private struct Timed {
        let clock = HandClock()
        let connections = Connections()
        var rig: MigrationRig

        init(_ guest: ScriptedGuest) throws {
            rig = try MigrationRig(guest)
            rig.parameters.downtimeLimit = .zero
            let (clock, connections) = (clock, connections)
            rig.now = { clock.now }
            rig.wrap = { inner in
                connections.keep(
                    RecordingConnection(
                        inner, .init(onSleep: { _, _, _ in clock.advance(by: RateLimiter.slice) })))
            }
        }
    }

    /// A guest that writes a quarter of its 200 pages at each look.
    private static func busyGuest(
        _ name: String, writes: Int = .max,
        onCall: @escaping @Sendable (ScriptedGuest.Call) -> MigrationError? = { _ in nil }
    ) throws -> ScriptedGuest {
        let guest = ScriptedGuest(
            [try ScriptedGuest.Block(name, pages: 200)], seed: 5, writes: writes, onCall: onCall)
        guest.fill()
        return guest
    }

    // MARK: Auto-converge

    @Test(
        arguments: [
            (.qemu72, 99, [20, 30, 40, 50, 0]), (.qemu2015, 99, [20, 30, 40, 50, 0]),
            (.qemu72, 45, [20, 30, 40, 45, 0]),
        ] as [(MigrationDialect, Int, [Int])])
    func `MIG-7 a guest that writes too fast is slowed down step by step, then let go`(
        dialect: MigrationDialect, maximum: Int, expected: [Int]
    ) async throws {
        let guest = try Self.busyGuest("busy")
        var timed = try Timed(guest)
        // At the last step it gives way.
        let last = expected[expected.count - 2]
        let throttle = RecordingThrottle { percentage in
            if percentage == last { guest.state.withLock { $0.writes = 0 } }
            return nil
        }
        timed.rig.throttle = throttle
        timed.rig.parameters.dialect = dialect
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.autoConverge = .init(maximum: maximum)
        let outcome = try await timed.rig.run()
        let statistics = try outcome.source.get()
        // It may be lifted more than once.
        let percentages = throttle.percentages
        #expect(Array(percentages.prefix(expected.count)) == expected)
        #expect(percentages.dropFirst(expected.count).allSatisfy { $0 == 0 })
        #expect(timed.rig.difference == nil)
        #expect(statistics.throttlePercentage == 0)
        #expect(statistics.ram.dirtyPagesRate > 0)
        // A period is longer than a second: two to each step, three in 2015, and one before.
        let periods = (dialect == .qemu72 ? 2 : 3) * (expected.count - 1) + 1
        #expect(timed.clock.now > .seconds(periods))
    }

    @Test func `MIG-7 without auto-converge no guest is slowed down`() async throws {
        let guest = try Self.busyGuest("off", writes: 40)
        var timed = try Timed(guest)
        let throttle = RecordingThrottle()
        timed.rig.throttle = throttle
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        let statistics = try await timed.rig.run().source.get()
        #expect(timed.clock.now > .seconds(6))
        #expect(throttle.percentages.isEmpty)
        #expect(statistics.throttlePercentage == nil)
    }

    enum Ending: CaseIterable { case cancelled, broken, gone, bounded }

    @Test(arguments: Ending.allCases)
    func `MIG-7 the throttle is lifted however the migration ends`(ending: Ending) async throws {
        let throttled = Flag()
        let gone = MigrationError(.guest, "gone")
        let guest = try Self.busyGuest("ending") { call in
            guard case .collect = call, ending == .gone, throttled.isSet else { return nil }
            return gone
        }
        var timed = try Timed(guest)
        let source = Watch<MigrationSource>()
        let connections = timed.connections
        let throttle = RecordingThrottle { percentage in
            guard percentage > 0 else { return nil }
            throttled.isSet = true
            switch ending {
            case .cancelled: source.object?.cancel()
            case .broken: connections.current?.breakDown()
            case .gone, .bounded: break
            }
            return nil
        }
        timed.rig.onBegin = { began, _ in source.object = began }
        timed.rig.throttle = throttle
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.autoConverge = .init()
        if ending == .bounded { timed.rig.parameters.maximumTime = .seconds(4) }
        let outcome = try await timed.rig.run()
        let kinds: [Ending: MigrationError.Kind] = [
            .cancelled: .cancelled, .broken: .transfer, .gone: .guest, .bounded: .notConverging,
        ]
        #expect(outcome.source.error?.kind == kinds[ending])
        #expect(throttle.percentages == [20, 0])
        #expect(outcome.statistics.throttlePercentage == 0)
        #expect(guest.runsOn)
    }

    @Test func `MIG-7 a throttle that fails half way is lifted all the same`() async throws {
        for failing in [20, 30] {
            let guest = try Self.busyGuest("failing")
            var timed = try Timed(guest)
            let refusal = MigrationError(.transfer, "no throttle: turn auto-converge off")
            let throttle = RecordingThrottle { $0 == failing ? refusal : nil }
            timed.rig.throttle = throttle
            timed.rig.parameters.maximumBytesPerSecond = 1_000_000
            timed.rig.parameters.autoConverge = .init()
            let outcome = try await timed.rig.run()
            #expect(outcome.source.error == refusal)
            #expect(throttle.percentages.last == 0)
            #expect(guest.runsOn)
        }
    }

    // MARK: Bandwidth

    @Test(arguments: [100_000, 1_000_000, 10_000_000] as [UInt64])
    func `MIG-8 no slice carries more than its quota and the last record`(
        bandwidth: UInt64
    ) async throws {
        let guest = try Self.busyGuest("slices", writes: 3)
        var timed = try Timed(guest)
        timed.rig.parameters.maximumBytesPerSecond = bandwidth
        timed.rig.parameters.xbzrleCacheByteCount = 1 << 20
        _ = try await timed.rig.run().source.get()
        let recorded = try #require(timed.connections.current?.recorded)
        let sleeps = recorded.sleeps
        #expect(sleeps.count >= 400_000 / Int(bandwidth / 10))
        // A record of a page, the end of the section, and the head of the next; the rest once.
        let most = Int(bandwidth / 10) + 8 + 8 + pageByteCount + 30
        for (begin, end) in zip([0] + sleeps, sleeps) {
            #expect(end - begin > Int(bandwidth / 10))
            #expect(end - begin <= most)
        }
        #expect(timed.clock.now == RateLimiter.slice * sleeps.count)
    }

    @Test func `MIG-8 without a limit it never sleeps`() async throws {
        var timed = try Timed(try Self.busyGuest("free", writes: 3))
        timed.rig.parameters.maximumBytesPerSecond = 0
        _ = try await timed.rig.run().source.get()
        #expect(timed.connections.current?.recorded.sleeps == [])
    }

    // MARK: Switch-over

    @Test func `MIG-8 before the first slice ended only nothing is little enough`() async throws {
        // The clock stands still, and the guest writes at twelve looks.
        let guest = try Self.busyGuest("first", writes: 12)
        var timed = try Timed(guest)
        timed.rig.parameters.downtimeLimit = .seconds(2000)
        // Rounds that take no time do not count towards the bound on them.
        timed.rig.parameters.maximumRounds = 3
        let statistics = try await timed.rig.run().source.get()
        #expect(timed.clock.now == .zero)
        #expect(statistics.ram.dirtySyncCount >= 13)
        #expect(guest.state.withLock { $0.writes } == 0)
    }

    @Test(arguments: [100, 300, 1000])
    func `MIG-8 what is left at the switch-over fits the downtime`(
        milliseconds: Int
    ) async throws {
        // It writes a quarter of 200 pages for ever: 200 kB, which 1 MB/s carries in 200 ms.
        let guest = try Self.busyGuest("downtime", writes: milliseconds > 200 ? .max : 30)
        var timed = try Timed(guest)
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.downtimeLimit = .milliseconds(milliseconds)
        let statistics = try await timed.rig.run().source.get()
        #expect(timed.rig.difference == nil)
        // The last look finds a few pages more than the one before: a sixteenth of them.
        let limit = UInt64(1_100_000 * milliseconds / 1000 + 13 * 4104 + 200)
        #expect(statistics.ram.downtimeBytes <= limit)
        // It never gave way, or had to.
        #expect(guest.state.withLock { $0.writes > 0 } == (milliseconds > 200))
    }

    @Test func `MIG-8 a guest that never gives way is given up with both rates`() async throws {
        let guest = try Self.busyGuest("never")
        var timed = try Timed(guest)
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.maximumRounds = 12
        let outcome = try await timed.rig.run()
        let error = try #require(outcome.source.error)
        #expect(error.kind == .notConverging)
        let text = error.description
        #expect(text.hasPrefix("does not converge after 12 rounds: dirties "), "\(text)")
        #expect(text.contains("/s, link carries 0.9") && text.contains("MiB/s; allow"), "\(text)")
        #expect(text.contains("turn auto-converge on"), "\(text)")
        #expect(outcome.statistics.ram.dirtySyncCount == 13)
        #expect(guest.runsOn)
    }

    @Test func `MIG-8 a bound of time holds`() async throws {
        let guest = try Self.busyGuest("late")
        var timed = try Timed(guest)
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.maximumRounds = nil
        timed.rig.parameters.maximumTime = .seconds(3)
        let outcome = try await timed.rig.run()
        #expect(outcome.source.error?.kind == .notConverging)
        #expect(outcome.source.error?.description.contains("after 3 s") == true)
        #expect(
            timed.clock.now > .seconds(3) && timed.clock.now <= .seconds(3) + .milliseconds(200))
        #expect(guest.runsOn)
    }

    // MARK: Rates

    @Test func `MIG-10 the rates of the last period and of the whole are told`() async throws {
        let guest = try Self.busyGuest("rates", writes: 30)
        var timed = try Timed(guest)
        timed.rig.parameters.maximumBytesPerSecond = 1_000_000
        timed.rig.parameters.xbzrleCacheByteCount = 1 << 20
        let statistics = try await timed.rig.run().source.get()
        let cache = try #require(statistics.xbzrleCache)
        #expect(cache.cacheMissRate > 0 && cache.cacheMissRate < 1)
        #expect(cache.encodingRate > 1)
        #expect(statistics.ram.dirtyPagesRate > 0)
        let seconds = Double(timed.clock.now.inMilliseconds) / 1000
        let mbps = Double(statistics.ram.transferred) * 8 / seconds / 1e6
        #expect(abs(statistics.ram.mbps - mbps) < 0.01)
        #expect(statistics.totalTime == timed.clock.now)
    }
}

/// The last connection of a migration, kept for what it recorded.
private final class Connections: Sendable {
    private let held = Mutex<RecordingConnection?>(nil)

    var current: RecordingConnection? { held.withLock { $0 } }

    func keep(_ connection: RecordingConnection) -> RecordingConnection {
        held.withLock { $0 = connection }
        return connection
    }
}

private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
