import Foundation
import RoostMemory
import RoostMigration
import Workloads

/// What it costs to find the pages that a guest of 1 GiB wrote, and what it costs the guest.
func tracking() throws {
    let byteCount = 1 << 30
    let pageCount = byteCount / pageByteCount
    let counts = [pageCount / 1000, pageCount / 100, pageCount / 10]
    head([
        "tracker", "start, ms", "0.1 % dirty", "1 %", "10 %", "the guest's write, 10 %",
    ])
    try withFolder { folder in
        let program = try Program(["guest", "\(folder)/guest", "\(byteCount)"])
        defer { program.stop() }
        try program.expect("READY")
        let guest = try ProcessGuest.connect(to: "\(folder)/guest")
        let trackers: [TrackerKind] = [.asynchronousProtection, .synchronousProtection, .shadow]
        for kind in trackers {
            try measure(try guest.tracker(kind), of: guest, pageCount, counts) { count, seed in
                try program.write("\(count) \(seed)")
                return Double(try program.numbers().first ?? 0) / Double(count)
            }
        }
        let marks = ExplicitMarks()
        try measure(marks, of: guest, pageCount, counts) { count, seed in
            let start = ContinuousClock.now
            for index in 0..<count {
                let first = index * pageCount / count * pageByteCount
                marks.mark(block: "ram", first..<first + 8)
            }
            return start.duration(to: .now) / .nanoseconds(1) / Double(count)
        }
    }
}

/// Measures a tracker's ``DirtyTracker/collect(into:)`` after so many writes; `write` answers what
/// each took.
private func measure(
    _ tracker: any DirtyTracker, of guest: ProcessGuest, _ pageCount: Int, _ counts: [Int],
    _ write: (Int, Int) throws -> Double
) throws {
    let memory = try MemorySpace(capacity: pageCount * pageByteCount)
    let blocks = guest.blocks
    for block in blocks {
        try memory.addFile(
            block.memoryFile, byteCount: block.byteCount, isWritable: false, requiresSeal: true)
    }
    var bitmap = try DirtyBitmap(pageCount: pageCount)
    let begin = ContinuousClock.now
    try tracker.start([TrackedBlock(name: "ram", pages: 0..<pageCount)], memory: memory)
    try tracker.collect(into: &bitmap)
    let start = begin.duration(to: .now)
    var times = [[Double]](repeating: [], count: counts.count)
    var writes: [Double] = []
    for turn in 0..<9 {
        for (index, count) in counts.enumerated() {
            bitmap.clear(0..<pageCount)
            let nanoseconds = try write(
                count, turn * 3 + index + Int.random(in: 1...1_000_000) * 64)
            if index == counts.count - 1 { writes.append(nanoseconds) }
            let begin = ContinuousClock.now
            try tracker.collect(into: &bitmap)
            times[index].append(begin.duration(to: .now) / .milliseconds(1))
            guard bitmap.dirtyCount == count else {
                throw Failure("\(tracker.name) found \(bitmap.dirtyCount) of \(count) pages")
            }
        }
    }
    tracker.stop()
    row(
        [tracker.name, decimal(start / .milliseconds(1), 0)]
            + times.map { Spread($0).text("%.2f") + " ms" }
            + [Spread(writes).text("%.0f") + " ns"])
}

/// How much of its work a busy guest still does while it is tracked, with a look every 100 ms.
func slowDown() throws {
    head(["tracker", "steps a second", "of those untracked", "collect, ms", "pages each"])
    try withFolder { folder in
        let program = try stampedGuest([
            "--socket", "\(folder)/guest", "--memory", "1G", "--hot", "10",
        ])
        defer { program.stop() }
        let guest = try ProcessGuest.connect(to: "\(folder)/guest")
        let memory = try MemorySpace(capacity: 1 << 30)
        for block in guest.blocks {
            try memory.addFile(
                block.memoryFile, byteCount: block.byteCount, isWritable: false,
                requiresSeal: true)
        }
        let trackers: [TrackerKind] = [.asynchronousProtection, .synchronousProtection, .shadow]
        var tracked = [[Tracked]](repeating: [], count: trackers.count)
        var untracked: [Double] = []
        for _ in 0..<7 {
            untracked.append(try work(of: nil, memory).rate)
            for (index, kind) in trackers.enumerated() {
                tracked[index].append(try work(of: try guest.tracker(kind), memory))
            }
        }
        let without = Spread(untracked)
        row(["none", without.text("%.0f"), "", "", ""])
        for (kind, turns) in zip(trackers, tracked) {
            let with = Spread(turns.map(\.rate))
            row([
                kind.rawValue, with.text("%.0f"),
                decimal(with.median / without.median * 100, 0) + " %",
                Spread(turns.map(\.milliseconds)).text("%.1f"),
                decimal(Spread(turns.map(\.pages)).median, 0),
            ])
        }
    }
}

/// A second and a half of a guest's work.
private struct Tracked {
    let rate: Double
    var milliseconds = 0.0
    var pages = 0.0
}

/// Where a stamped guest counts its steps.
private let stepOffset = 72

private func work(of tracker: (any DirtyTracker)?, _ memory: MemorySpace) throws -> Tracked {
    let pageCount = memory.byteCount / pageByteCount
    var bitmap = try DirtyBitmap(pageCount: pageCount)
    try tracker?.start([TrackedBlock(name: "ram", pages: 0..<pageCount)], memory: memory)
    try tracker?.collect(into: &bitmap)
    var (collects, pages): ([Double], [Double]) = ([], [])
    let begin = ContinuousClock.now
    let steps = memory.loadWord(at: stepOffset)
    for turn in 1...15 {
        Thread.sleep(
            forTimeInterval: max(
                0, 0.1 * Double(turn) - begin.duration(to: .now).seconds))
        bitmap.clear(0..<pageCount)
        let start = ContinuousClock.now
        try tracker?.collect(into: &bitmap)
        collects.append(start.duration(to: .now) / .milliseconds(1))
        pages.append(Double(bitmap.dirtyCount))
    }
    let rate = Double(memory.loadWord(at: stepOffset) - steps) / begin.duration(to: .now).seconds
    tracker?.stop()
    return Tracked(
        rate: rate, milliseconds: Spread(collects).median, pages: Spread(pages).median)
}
