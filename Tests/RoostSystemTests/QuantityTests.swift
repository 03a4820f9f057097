import RoostSystem
import Testing

@Suite struct QuantityTests {
    private static let byteCounts: [(UInt64, String)] = [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "0.98 KiB"), (1024, "1.00 KiB"),
        (10 << 10, "10.0 KiB"), (100 << 10, "100 KiB"), (999 << 10, "999 KiB"),
        (1000 << 10, "0.98 MiB"), (1 << 20, "1.00 MiB"), (1 << 30, "1.00 GiB"),
        (1 << 40, "1.00 TiB"), (1 << 50, "1.00 PiB"), (.max, "16.0 EiB"),
    ]

    @Test("bytes have three digits and a unit of powers of 1,024", arguments: byteCounts)
    func bytes(count: UInt64, text: String) {
        #expect(Quantity.bytes(count) == text)
    }

    private static let rates: [(Double, String)] = [
        (0, "0 B/s"), (0.4, "0 B/s"), (1_048_576, "1.00 MiB/s"), (-1, "?/s"), (.infinity, "?/s"),
        (.nan, "?/s"), (1e19, "?/s"),
    ]

    @Test("a rate is bytes in a second, and what is none is unknown", arguments: rates)
    func rate(rate: Double, text: String) {
        #expect(Quantity.rate(rate) == text)
    }

    private static let times: [(Double, String)] = [
        (0, "0 s"), (0.1, "1 s"), (59, "59 s"), (59.5, "1 min"), (61, "1 min 1 s"), (3600, "1 h"),
        (3661, "1 h 1 min"), (86_400, "1 d"), (90_000, "1 d 1 h"), (-1, "?"), (.infinity, "?"),
        (.nan, "?"),
    ]

    @Test("a time has two units at most and is rounded up", arguments: times)
    func time(seconds: Double, text: String) {
        #expect(Quantity.time(seconds) == text)
    }

    private static let decimals: [(Double, Int, String)] = [
        (1.25, 1, "1.3"), (-1.25, 1, "-1.3"), (2, 2, "2.00"), (0.005, 1, "0.0"), (1.96, 0, "2"),
        (1e18, 1, "1e+18"),
    ]

    @Test("decimals are rounded and keep their zeros", arguments: decimals)
    func decimal(value: Double, digits: Int, text: String) {
        #expect(Quantity.decimal(value, digits) == text)
    }
}
