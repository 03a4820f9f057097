internal import Glibc

/// One message of a log, as a person or systemd's journal takes it from standard error.
///
/// A person gets the time, the level and the message. The journal keeps the time itself and learns
/// the level from a prefix (sd-daemon(3)).
package enum LogLine {
    /// How severe a message is; the names are swift-log's.
    package enum Level: String, Sendable, CaseIterable {
        case trace, debug, info, notice, warning, error, critical

        /// The prefix by which journald takes the level (SD_DEBUG and so on of sd-daemon(3)).
        package var journalPrefix: String {
            switch self {
            case .trace, .debug: "<7>"
            case .info: "<6>"
            case .notice: "<5>"
            case .warning: "<4>"
            case .error: "<3>"
            case .critical: "<2>"
            }
        }
    }

    /// Whether standard error leads to systemd's journal: the environment's JOURNAL_STREAM names
    /// its device and inode (systemd.exec(5)).
    package static let isJournal: Bool = {
        var status = stat()
        // SAFETY: the status is a local; the environment is not changed while it is read.
        guard let named = unsafe getenv("JOURNAL_STREAM"),
            unsafe fstat(STDERR_FILENO, &status) == 0
        else { return false }
        return unsafe String(cString: named) == "\(status.st_dev):\(status.st_ino)"
    }()

    /// A message as one line.
    ///
    /// - Parameters:
    ///   - message: The message; its control characters are replaced.
    ///   - level: How severe it is.
    ///   - time: The time as ``now()`` gives it.
    ///   - isJournal: Whether the journal takes it.
    /// - Returns: The line with its end.
    package static func text(
        _ message: String, _ level: Level, at time: String = now(),
        isJournal: Bool = LogLine.isJournal
    ) -> String {
        let message = PlainText.of(message)
        return isJournal
            ? "\(level.journalPrefix)\(message)\n" : "\(time) \(level.rawValue): \(message)\n"
    }

    /// The time of day in UTC, to the millisecond, as ISO 8601 writes it.
    package static func now() -> String {
        var time = timespec()
        // SAFETY: the time is a local, held exclusively for the call.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return text(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// A time of day in UTC.
    static func text(seconds: Int, milliseconds: Int) -> String {
        var seconds = time_t(seconds)
        var parts = unsafe tm()
        // SAFETY: both are locals, held exclusively for the call.
        guard unsafe gmtime_r(&seconds, &parts) != nil else { return "-" }
        let date = unsafe [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday]
        let clock = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec]
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        func joined(_ values: [Int32], by separator: String) -> String {
            values.map { digits(Int($0), 2) }.joined(separator: separator)
        }
        return joined(date, by: "-") + "T" + joined(clock, by: ":")
            + ".\(digits(milliseconds, 3))Z"
    }
}
