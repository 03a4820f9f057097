import FoundationEssentials
import RoostMigration
import SystemPackage

/// What the commands print, and how.
enum Console {
    /// Whether standard error is a terminal, where progress may be drawn over.
    static let isTerminal = isTerminal(.standardError)

    /// Writes to standard error.
    static func note(_ text: String) {
        write(text + "\n", to: .standardError)
    }

    /// Writes text as it is; a closed pipe is nobody's fault.
    static func write(_ text: String, to descriptor: FileDescriptor) {
        _ = try? descriptor.writeAll(text.utf8)
    }

    /// Draws a line of progress over the last one on a terminal.
    static func draw(_ line: String) {
        write("\r\u{1b}[2K\(line)", to: .standardError)
    }

    /// Text from a stream as a terminal may show it: control characters become U+FFFD.
    static func plain(_ text: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control
            shown.append(isControl ? "\u{fffd}" : scalar)
        }
        return String(shown)
    }

    /// Prints a value as JSON, keys sorted.
    static func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// A value as JSON in one line, keys sorted.
    static func jsonLine(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// A number of bytes as people read it: three digits and a binary unit.
    static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1000, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(count) B" }
        return "\(decimal(value, value < 10 ? 2 : value < 100 ? 1 : 0)) \(units[unit])"
    }

    /// A number with so many digits behind the point.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        value.formatted(digits)
    }

    /// A table: the first row is its head; columns of numbers stand to the right.
    static func table(_ rows: [[String]]) -> String {
        let rows = rows.map { $0.map(plain) }
        guard let head = rows.first else { return "" }
        let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let pad = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 ? cell + pad : "  " + pad + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}

extension Double {
    /// The number in decimal with `digits` digits behind the point, rounded half up.
    fileprivate func formatted(_ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (self * scale).rounded()
        guard scaled.magnitude < 9e15 else { return "\(self)" }
        let whole = Int(scaled)
        guard digits > 0 else { return "\(whole)" }
        let unit = Int(scale)
        let fraction = String(whole.magnitude % unit.magnitude)
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(whole < 0 ? "-" : "")\(whole.magnitude / unit.magnitude).\(zeros)\(fraction)"
    }
}

/// A line of progress: drawn over on a terminal, at most ten times a second, plain lines at
/// each tenth elsewhere.
final class ProgressLine {
    private let title: String
    private let clock = ContinuousClock()
    private var last: ContinuousClock.Instant?
    private var lastTenth = -1
    private var isDrawn = false

    init(_ title: String) {
        self.title = title
    }

    /// Shows how far reading a file is.
    func show(_ progress: StreamProgress) {
        guard let byteCount = progress.byteCount, byteCount > 0 else {
            draw("\(title): \(Console.bytes(progress.position))")
            return
        }
        let share = min(Double(progress.position) / Double(byteCount), 1)
        if Console.isTerminal {
            let filled = Int(share * 30)
            let bar =
                String(repeating: "█", count: filled) + String(repeating: "·", count: 30 - filled)
            draw("\(title) \(bar) \(Int(share * 100)) %  \(Console.bytes(progress.position))")
        } else if byteCount > 64 << 20, Int(share * 10) > lastTenth {
            lastTenth = Int(share * 10)
            Console.note("\(title): \(Int(share * 100)) % of \(Console.bytes(byteCount))")
        }
    }

    private func draw(_ line: String) {
        guard Console.isTerminal else { return }
        let now = clock.now
        if let last, now - last < .milliseconds(100) { return }
        last = now
        isDrawn = true
        Console.draw(line)
    }

    /// Takes the line away from the terminal.
    func end() {
        if isDrawn { Console.draw("") }
    }
}
