import Testing

@testable import RoostSystem

@Suite struct LogLineTests {
    @Test(
        "a person reads the time, the level and the message; the journal gets the priority",
        arguments: [
            (LogLine.Level.trace, 7), (.debug, 7), (.info, 6), (.notice, 5), (.warning, 4),
            (.error, 3), (.critical, 2),
        ])
    func text(level: LogLine.Level, priority: Int) {
        let time = "2026-11-30T16:50:01.007Z"
        #expect(
            LogLine.text("disk web1: lost", level, at: time, isJournal: false)
                == "\(time) \(level.rawValue): disk web1: lost\n")
        #expect(
            LogLine.text("disk web1: lost", level, at: time, isJournal: true)
                == "<\(priority)>disk web1: lost\n")
    }

    @Test("what a peer sent cannot begin a line of its own")
    func control() {
        #expect(
            LogLine.text("name\n<0>forged\u{1b}[2J", .info, at: "-", isJournal: true)
                == "<6>name\u{fffd}<0>forged\u{fffd}[2J\n")
    }

    @Test("the time is UTC, to the millisecond")
    func time() {
        #expect(LogLine.text(seconds: 0, milliseconds: 7) == "1970-01-01T00:00:00.007Z")
        #expect(
            LogLine.text(seconds: 951_827_696, milliseconds: 120) == "2000-02-29T12:34:56.120Z")
    }
}
