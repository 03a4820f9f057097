internal import RoostSystem

/// Decides when progress is shown, and what a line of it says: share, rate, time left.
///
/// It looks at no clock and writes nothing: whoever shows the lines gives the time since the work
/// began.
public struct ProgressMeter: Sendable {
    /// Where lines are shown.
    public enum Place: Sendable, Equatable {
        /// A terminal with so many columns, where a line is drawn over the last one.
        case terminal(columns: Int)
        /// A file, a pipe or a log, where each line stays.
        case lines
    }

    /// How often a terminal's line is drawn.
    private static let drawInterval = Duration.milliseconds(200)
    /// When the first of the lines that stay is written: short work says nothing.
    private static let firstLine = Duration.seconds(1)
    /// How far apart those lines are at least, and at most: a tenth of the time so far in between.
    private static let lineIntervals = (least: Duration.seconds(5), most: Duration.seconds(60))
    /// Over how long a time the rate is taken.
    private static let window = Duration.seconds(5)
    /// The characters of the bar.
    private static let barLength = 24

    private struct Sample {
        let time: Duration
        let done: UInt64
    }

    private let title: String
    private let place: Place
    private var due: Duration
    /// What was done at earlier times, the oldest first, none but the first older than the window.
    private var samples: [Sample] = [Sample(time: .zero, done: 0)]

    /// Makes a meter of work that begins now.
    ///
    /// - Parameters:
    ///   - title: What goes on, such as `copying`.
    ///   - place: Where it is shown.
    public init(_ title: String, on place: Place) {
        self.title = title
        self.place = place
        due = place == .lines ? Self.firstLine : .zero
    }

    /// Whether a line is to be shown; the next one has to wait again then.
    ///
    /// - Parameter now: The time since the work began.
    /// - Returns: Whether it is time.
    public mutating func isDue(at now: Duration) -> Bool {
        guard now >= due else { return false }
        let (least, most) = Self.lineIntervals
        due = now + (place == .lines ? min(max(least, now / 10), most) : Self.drawInterval)
        return true
    }

    /// The line to be shown of work that is measured in bytes.
    ///
    /// - Parameters:
    ///   - done: The bytes so far.
    ///   - total: All of them, where that is known.
    ///   - detail: What else to say.
    ///   - now: The time since the work began.
    /// - Returns: The line, or `nil` when it is too early for one.
    public mutating func line(
        _ done: UInt64, of total: UInt64?, _ detail: String = "", at now: Duration
    ) -> String? {
        guard isDue(at: now) else { return nil }
        let rate = rate(done, now)
        var parts: [String] = []
        var share = ""
        if let total, total > 0 {
            let part = min(Double(done) / Double(total), 1)
            share = place == .lines ? ": " : " \(bar(part)) "
            parts.append(
                "\(Int(part * 100)) %, \(Quantity.bytes(min(done, total))) of "
                    + Quantity.bytes(total))
        } else {
            share = ": "
            parts.append(Quantity.bytes(done))
        }
        if let rate { parts.append(Quantity.rate(rate)) }
        if let rate, rate > 0, let total, total > done {
            parts.append("\(Quantity.time(Double(total - done) / rate)) left")
        }
        if !detail.isEmpty { parts.append(detail) }
        return fitted(title + share + parts.joined(separator: ", "))
    }

    /// A line cut to the terminal's columns: one that wraps could not be drawn over.
    ///
    /// - Parameter line: The line.
    /// - Returns: What fits.
    public func fitted(_ line: String) -> String {
        guard case .terminal(let columns) = place, columns > 0, line.count >= columns else {
            return line
        }
        return String(line.prefix(max(columns - 1, 1)))
    }

    /// The bytes in each second of the last time.
    private mutating func rate(_ done: UInt64, _ now: Duration) -> Double? {
        while samples.count > 1, now - samples[1].time >= Self.window { samples.removeFirst() }
        defer { samples.append(Sample(time: now, done: done)) }
        let first = samples[0]
        guard now > first.time, done >= first.done else { return nil }
        return Double(done - first.done) / ((now - first.time) / .seconds(1))
    }

    private func bar(_ share: Double) -> String {
        let filled = Int(share * Double(Self.barLength))
        return String(repeating: "█", count: filled)
            + String(repeating: "·", count: Self.barLength - filled)
    }
}
