import Testing

@testable import RoostSystem

/// Times as poll(2) takes them: a negative number would be for ever.
@Suite struct DurationTests {
    @Test(arguments: [
        (Duration.zero, Int32(0)), (.nanoseconds(1), 1), (.milliseconds(1), 1),
        (.microseconds(1001), 2), (.seconds(2), 2000), (.seconds(1 << 40), .max),
    ])
    func `a time to come is rounded up to milliseconds`(time: Duration, milliseconds: Int32) {
        #expect(time.clampedMilliseconds == milliseconds)
    }

    @Test(arguments: [
        Duration.nanoseconds(-1), .microseconds(-999), .milliseconds(-2), .milliseconds(-999),
        .seconds(-1), .milliseconds(-1500), .seconds(-(1 << 40)),
    ])
    func `a time that is over is no wait at all`(time: Duration) {
        #expect(time.clampedMilliseconds == 0)
    }

    @Test func `who waits until a moment that has passed goes on at once`() throws {
        let (here, there) = try StreamSocket.pair()
        let before = ContinuousClock.now - .milliseconds(50)
        #expect(here.wait(for: .input, until: before).isEmpty)
        #expect(try !StopSignal().wait(within: .milliseconds(-50)))
        withExtendedLifetime(there) {}
    }
}
