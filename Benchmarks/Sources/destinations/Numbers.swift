import Foundation

/// A program's failure, with its message.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Numbers in order, for percentiles.
struct Samples {
    private(set) var values: [Double] = []

    mutating func add(_ value: Double) {
        values.append(value)
    }

    func percentile(_ percent: Double) -> Double {
        let sorted = values.sorted()
        guard let last = sorted.last else { return .nan }
        let index = Int((Double(sorted.count) * percent / 100).rounded(.down))
        return index < sorted.count ? sorted[index] : last
    }

    var median: Double { percentile(50) }
    var largest: Double { values.max() ?? .nan }
    var sum: Double { values.reduce(0, +) }
}

func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
}

/// The monotonic clock in nanoseconds.
func wallNanoseconds() -> UInt64 {
    nanoseconds(of: CLOCK_MONOTONIC)
}

/// The calling thread's own time in nanoseconds.
func threadNanoseconds() -> UInt64 {
    nanoseconds(of: CLOCK_THREAD_CPUTIME_ID)
}

private func nanoseconds(of clock: clockid_t) -> UInt64 {
    var time = timespec()
    // SAFETY: the address of a local for the time of the call.
    _ = unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Numbers that repeat: the same multiplier as the tests' generator.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
