@testable import RoostRouter
import Testing

/// The trace that was published with the collector in October 2007, T = 250, of a machine whose cache of
/// routes had just been flushed with about 75,000 entries in use: of each pass how many it left, how
/// many it freed, the delay by the rule, and the delay as printed, which is rounded above four seconds.
///
/// A printed delay above 1000 fixes where in its second the pass ended, processor skew included: a
/// wait w ends at a multiple of 250, so the pass ended at −w modulo 250. 1256 asks for 244, 1997 for 3,
/// 1389 for 111, 2748 for 2. A rounded wait starts the next pass at 0, so each pass's own ticks follow: 3
/// for the fifth and the eleventh, 2 for the twelfth, and 11 for the sixth to the tenth together,
/// since 25 + 150 + 400 + 775 + 11 is 111 modulo 250. These are the 6.1 to 11.4 ms, at 4 ms a tick, that
/// the trace printed. With 2 ticks each for the first four, and processor 1, the first pass starts at 158
/// modulo 250.
@Suite("The published trace")
struct PublishedTraceTests {
    struct Row {
        let delayed: Int
        let freed: Int
        let exact: UInt64
        let printed: UInt64
        let elapsed: UInt64
    }

    static let rows = [
        Row(delayed: 74109, freed: 141, exact: 150, printed: 150, elapsed: 2),
        Row(delayed: 73366, freed: 743, exact: 400, printed: 400, elapsed: 2),
        Row(delayed: 71844, freed: 1522, exact: 775, printed: 775, elapsed: 2),
        Row(delayed: 68791, freed: 3053, exact: 1275, printed: 1256, elapsed: 2),
        Row(delayed: 64711, freed: 4080, exact: 1900, printed: 1997, elapsed: 3),
        Row(delayed: 58316, freed: 6395, exact: 25, printed: 25, elapsed: 2),
        Row(delayed: 58252, freed: 64, exact: 150, printed: 150, elapsed: 2),
        Row(delayed: 57843, freed: 409, exact: 400, printed: 400, elapsed: 2),
        Row(delayed: 56679, freed: 1164, exact: 775, printed: 775, elapsed: 2),
        Row(delayed: 53965, freed: 2714, exact: 1275, printed: 1389, elapsed: 3),
        Row(delayed: 49627, freed: 4338, exact: 1900, printed: 1997, elapsed: 3),
        Row(delayed: 46865, freed: 2762, exact: 2650, printed: 2748, elapsed: 2),
    ]
    static let heldCount = 74_250
    static let firstTotal = 75_469
    static let lastTotal = 226_638
    static let firstPass: UInt64 = 250_000 + 158

    @Test("NET-5: the rule alone gives the trace's delays, exact and as printed")
    func paceAlone() {
        var pace = CollectorPace(tickRate: 250, processor: 1)
        pace.garbageArrived(now: Self.firstPass - 25)
        for row in Self.rows {
            let now = (pace.deadline ?? 0) + row.elapsed
            pace.passBegan()
            let printed = pace.passEnded(freed: row.freed, delayed: row.delayed, now: now)
            #expect(pace.delay == row.exact)
            #expect(printed == row.printed)
        }
    }

    @Test("NET-5, NET-6: the collector prints the trace line by line, with all its entries")
    func wholeCollector() throws {
        var trace = try RunningTrace()
        for (index, row) in Self.rows.enumerated() {
            let passed = trace.pass(index, row)
            let line = try #require(passed)
            let total = trace.table.count
            let expected =
                "dst_total: \(total) delayed: \(row.delayed) work_perf: \(row.freed) "
                + "expires: \(row.printed) elapsed: \(row.elapsed * 4000) us"
            #expect(line.description == expected)
            let exact = trace.table.collectorPace.delay
            #expect(exact == row.exact)
            if index == 0 { #expect(total == Self.firstTotal) }
        }
        let lines = trace.table.collectorTrace
        #expect(lines.count == 12)
        #expect(lines.last?.total == Self.lastTotal)
        let freedCount = trace.operations.destroyed.count
        #expect(freedCount == Self.heldCount - 46_865)
        // The classic collector visits all that waited, each pass; this one each entry once when it is new
        // and once when it fell, and those that nobody held the first time only once.
        let classicVisits = Self.rows.reduce(0) { $0 + $1.delayed + $1.freed }
        #expect(classicVisits == 761_753)
        let visits = trace.table.collectorStatistics.visits
        #expect(visits == UInt64(Self.heldCount + freedCount - Self.rows[0].freed))
    }
}

/// The collector under the load of the trace: everything retired at once while it is held, let go as the
/// trace says, and the cache refilled meanwhile.
private struct RunningTrace: ~Copyable {
    var table: DestinationTable
    var operations = RecordedOperations()
    let clock = ManualClock()
    private var tokens: [HolderToken] = []

    init() throws {
        let now = PublishedTraceTests.firstPass - 25
        var table = try Lab.table { limits in
            limits.entryCount = 1 << 18
            limits.holderCount = PublishedTraceTests.heldCount
            limits.tickRate = 250
            limits.processor = 1
            limits.ipv4 = DestinationLimits.Family(threshold: 1 << 18, ceiling: 1 << 18)
        }
        for owner in 0..<PublishedTraceTests.heldCount {
            let handle = table.makeEntry(now: now)
            tokens.append(try table.take(handle, owner: UInt64(owner)))
            table.retire(handle, now: now)
        }
        self.table = table
        clock.now = now
    }

    mutating func pass(_ index: Int, _ row: PublishedTraceTests.Row) -> CollectorTrace? {
        for token in tokens.suffix(row.freed) {
            table.give(token)
        }
        tokens.removeLast(row.freed)
        let share =
            (PublishedTraceTests.lastTotal - PublishedTraceTests.firstTotal) * index
            / (PublishedTraceTests.rows.count - 1)
        let wanted = PublishedTraceTests.firstTotal + share + row.freed
        while table.count < wanted { _ = table.makeEntry(now: clock.now) }
        let begin = table.nextWake ?? 0
        clock.now = begin
        clock.wall = begin * 4_000_000
        while true {
            let progress = table.collect(clock: clock, operations: &operations)
            if case .passed(let line) = progress { return line }
            guard progress == .more else { return nil }
            // The first slice is done: all of the pass's time goes by.
            clock.now = begin + row.elapsed
            clock.wall = clock.now * 4_000_000
        }
    }
}
