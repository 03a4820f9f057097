import RoostHost
import Testing

@Suite struct ProgressMeterTests {
    private let mebibyte = UInt64(1 << 20)

    @Test("a line tells share, rate and time left")
    func lines() {
        var meter = ProgressMeter("copying", on: .lines)
        #expect(meter.line(0, of: 100 * mebibyte, at: .milliseconds(999)) == nil)
        #expect(
            meter.line(10 * mebibyte, of: 100 * mebibyte, at: .seconds(1))
                == "copying: 10 %, 10.0 MiB of 100 MiB, 10.0 MiB/s, 9 s left")
        #expect(meter.line(50 * mebibyte, of: 100 * mebibyte, at: .seconds(5)) == nil)
        #expect(
            meter.line(70 * mebibyte, of: 100 * mebibyte, at: .seconds(6))
                == "copying: 70 %, 70.0 MiB of 100 MiB, 12.0 MiB/s, 3 s left")
    }

    @Test("short work says nothing where lines stay, and long work little")
    func pace() {
        var meter = ProgressMeter("copying", on: .lines)
        var shown: [Int] = []
        for second in 0...1200 where meter.isDue(at: .seconds(second)) { shown.append(second) }
        #expect(shown.prefix(4) == [1, 6, 11, 16])
        let gaps = zip(shown.dropFirst(), shown).map { $0 - $1 }
        #expect(gaps == gaps.sorted())
        #expect(gaps.last == 60)
    }

    @Test("the rate is that of the last seconds, not of all the time")
    func rate() throws {
        var meter = ProgressMeter("copying", on: .terminal(columns: 0))
        for second in 0..<20 {
            _ = meter.line(UInt64(second) * mebibyte, of: nil, at: .seconds(second))
        }
        for second in 20..<30 { _ = meter.line(19 * mebibyte, of: nil, at: .seconds(second)) }
        #expect(
            meter.line(19 * mebibyte, of: nil, at: .seconds(30)) == "copying: 19.0 MiB, 0 B/s")
    }

    @Test("no time is left to tell of what stands still, is done, or has no end")
    func noTime() {
        for (done, total) in [(0, 10 * mebibyte), (10 * mebibyte, 10 * mebibyte), (5, nil)]
            as [(UInt64, UInt64?)]
        {
            var meter = ProgressMeter("copying", on: .lines)
            let line = meter.line(done, of: total, at: .seconds(2))
            #expect(line?.contains("left") == false)
        }
    }

    @Test("a count that runs back or past the end does no harm")
    func odd() {
        var meter = ProgressMeter("copying", on: .lines)
        #expect(
            meter.line(20, of: 10, at: .seconds(1)) == "copying: 100 %, 10 B of 10 B, 20 B/s")
        #expect(meter.line(5, of: 0, at: .seconds(7)) == "copying: 5 B")
    }

    @Test("a terminal's line has a bar and fits")
    func terminal() {
        var meter = ProgressMeter("copying", on: .terminal(columns: 30))
        let line = meter.line(mebibyte, of: 2 * mebibyte, at: .seconds(1))
        #expect(line == "copying ████████████·········")
        #expect(meter.line(mebibyte, of: 2 * mebibyte, at: .milliseconds(1100)) == nil)
    }
}
