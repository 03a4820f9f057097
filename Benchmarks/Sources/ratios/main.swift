// Runs each comparison by turns and prints a table of medians and their ratio.
//
//     swift run -c release ratios [WORD]
//
// runs those whose work or input contains WORD.

import Histogram
import Workloads

/// Turns of each side, as many as fit the limit.
///
/// The median of 41 moves by less than one part in a hundred; 11 are enough for quartiles.
let turnCounts = 11...41
/// What the turns of one comparison last together, about.
let limit = Duration.seconds(20)
/// What one turn lasts at least: far above the clock's resolution, below a scheduler's slice.
let turnDuration = Duration.milliseconds(5)

/// One side's times.
struct Side {
    private var nanoseconds = Histogram<UInt64>(numberOfSignificantValueDigits: .four)
    private let passes: Int

    init(passes: Int) {
        self.passes = passes
    }

    mutating func turn(_ pass: () -> Int, expecting sum: Int) throws {
        let start = ContinuousClock.now
        var total = 0
        for _ in 0..<passes {
            total &+= pass()
        }
        let elapsed = start.duration(to: .now)
        guard total == sum &* passes else {
            throw Disagreement(description: "the results changed while they were timed")
        }
        _ = nanoseconds.record(UInt64(elapsed / .nanoseconds(1)))
    }

    /// Nanoseconds a KiB of input.
    func percentile(_ percent: Double, byteCount: Int) -> Double {
        Double(nanoseconds.valueAtPercentile(percent)) / Double(passes)
            / (Double(byteCount) / 1024)
    }
}

func run(_ comparison: Comparison) throws -> String {
    let passes = try comparison.prepare()
    let sum = passes.roost()
    guard sum == passes.peer() else {
        throw Disagreement(
            description: "Roost and its peer differ on \(comparison.work), \(comparison.input)")
    }
    let start = ContinuousClock.now
    _ = passes.peer()
    let duration = start.duration(to: .now)
    let passCount = Int((turnDuration / duration).rounded(.up))
    let turns = min(
        max(Int(limit / (duration * 2 * passCount)), turnCounts.lowerBound), turnCounts.upperBound)
    var roost = Side(passes: passCount)
    var peer = Side(passes: passCount)
    for turn in 0..<turns {
        // A B, then B A, so that drift meets both alike.
        if turn.isMultiple(of: 2) {
            try roost.turn(passes.roost, expecting: sum)
            try peer.turn(passes.peer, expecting: sum)
        } else {
            try peer.turn(passes.peer, expecting: sum)
            try roost.turn(passes.roost, expecting: sum)
        }
    }
    return row(comparison, roost, peer)
}

func row(_ comparison: Comparison, _ roost: Side, _ peer: Side) -> String {
    func describe(_ side: Side) -> String {
        let median = side.percentile(50, byteCount: comparison.byteCount)
        let low = side.percentile(25, byteCount: comparison.byteCount)
        let high = side.percentile(75, byteCount: comparison.byteCount)
        return "\(fixed(median, 1)) ± \(fixed((high - low) / 2 / median * 100, 1)) %"
    }
    let ratio =
        roost.percentile(50, byteCount: comparison.byteCount)
        / peer.percentile(50, byteCount: comparison.byteCount)
    return "| \(comparison.work) | \(comparison.input) | \(describe(roost)) | "
        + "\(describe(peer)) | \(fixed(ratio, 2)) |"
}

func fixed(_ value: Double, _ digits: Int) -> String {
    var scale = 1
    for _ in 0..<digits {
        scale *= 10
    }
    let scaled = Int((value * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    return "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

let word = CommandLine.arguments.dropFirst().first
print("| work | input | Roost, ns/KiB | C, ns/KiB | Roost / C |")
print("|---|---|---|---|---|")
for comparison in Comparison.all()
where word.map({ comparison.work.contains($0) || comparison.input.contains($0) }) ?? true {
    print(try run(comparison))
}
