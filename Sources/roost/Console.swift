import RoostHost
import RoostSystem
import Synchronization
import SystemPackage

/// What the commands print, and how.
///
/// Results go to standard output; notes, progress, logs and failures to standard error.
enum Console {
    /// Whether standard error is a terminal, where progress may be drawn over.
    static let isTerminal = isTerminal(.standardError)

    private struct State {
        /// Whether notes and progress are left out (`--quiet`).
        var isQuiet = false
        /// Whether a line of progress stands on the terminal.
        var isDrawn = false
    }

    private static let state = Mutex(State())

    /// Leaves notes and progress out from now on.
    static func beQuiet() {
        state.withLock { $0.isQuiet = true }
    }

    /// Writes to standard error what goes on; left out with `--quiet`.
    static func note(_ text: String) {
        state.withLock { state in
            if !state.isQuiet { writeLine(text + "\n", &state) }
        }
    }

    /// Writes a warning to standard error.
    static func warn(_ text: String) {
        let text = "warning: \(plain(text))\n"
        say(LogLine.isJournal ? LogLine.Level.warning.journalPrefix + text : text)
    }

    /// Writes to standard error why a command failed.
    static func fail(_ sentence: String) {
        let text = "Error: \(sentence)\n"
        say(LogLine.isJournal ? LogLine.Level.error.journalPrefix + text : text)
    }

    /// Writes lines to standard error in any case, past a line of progress.
    static func say(_ lines: String) {
        state.withLock { writeLine(lines, &$0) }
    }

    /// Draws a line of progress over the last one on a terminal; an empty one takes it away.
    static func draw(_ line: String) {
        state.withLock { state in
            guard !state.isQuiet, state.isDrawn || !line.isEmpty else { return }
            write("\r\u{1b}[2K\(line)", to: .standardError)
            state.isDrawn = !line.isEmpty
        }
    }

    private static func writeLine(_ text: String, _ state: inout State) {
        write((state.isDrawn ? "\r\u{1b}[2K" : "") + text, to: .standardError)
        state.isDrawn = false
    }

    /// Writes text as it is; a closed pipe is nobody's fault.
    static func write(_ text: String, to descriptor: FileDescriptor) {
        _ = try? descriptor.writeAll(text.utf8)
    }

    /// Text from a stream as a terminal may show it: control characters become U+FFFD.
    static func plain(_ text: String) -> String { PlainText.of(text) }

    /// Prints a document as JSON, keys sorted behind its version and kind.
    ///
    /// - Parameters:
    ///   - value: What it says, encoded as an object.
    ///   - kind: Its kind, whose schema is docs/schemas/KIND.json.
    /// - Throws: What encoding the value throws.
    static func printJSON(_ value: some Encodable, as kind: String) throws {
        print(try JSONDocument.text(value, as: kind))
    }

    /// Prints a document as one line of JSON at once, for what goes on.
    ///
    /// - Parameters:
    ///   - value: What it says, encoded as an object.
    ///   - kind: Its kind, whose schema is docs/schemas/KIND.json.
    /// - Throws: What encoding the value throws.
    static func printJSONLine(_ value: some Encodable, as kind: String) throws {
        write(try JSONDocument.line(value, as: kind) + "\n", to: .standardOutput)
    }

    /// A number of bytes as people read it: three digits and a binary unit.
    static func bytes(_ count: UInt64) -> String { Quantity.bytes(count) }

    /// A number with so many digits behind the point.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        Quantity.decimal(value, digits)
    }

    /// A table: the first row is its head; columns of numbers stand to the right.
    static func table(_ rows: [[String]]) -> String { TextTable.text(rows) }
}
