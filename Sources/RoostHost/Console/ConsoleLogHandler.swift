public import Logging
internal import RoostSystem

/// The log of all commands: a line of time, level and message, or what systemd's journal takes.
public struct ConsoleLogHandler: LogHandler {
    /// The least severe messages that are logged.
    public var logLevel: Logger.Level
    /// What the logger adds to its messages.
    public var metadata: Logger.Metadata = [:]
    private let write: @Sendable (String) -> Void

    /// Makes a log.
    ///
    /// - Parameters:
    ///   - level: The least severe messages that are logged.
    ///   - write: Takes each line with its end; any thread may call it.
    public init(level: Logger.Level, write: @escaping @Sendable (String) -> Void) {
        logLevel = level
        self.write = write
    }

    /// A fact that the logger adds to its messages.
    ///
    /// - Parameter key: Its name.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes a message.
    ///
    /// - Parameter event: The message.
    public func log(event: LogEvent) {
        let level = LogLine.Level(rawValue: event.level.rawValue) ?? .info
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }
        write(LogLine.text(Self.sentence("\(event.message)", event.level, facts), level))
    }

    /// A message with what its facts add: an error always, the others for who looks closely.
    static func sentence(
        _ message: String, _ level: Logger.Level, _ facts: Logger.Metadata
    ) -> String {
        let shown = facts.filter { $0.key == "error" || level < .info }
            .sorted { $0.key < $1.key }
            .map { $0.key == "error" ? "\($0.value)" : "\($0.key) \($0.value)" }
        return shown.isEmpty ? message : "\(message) (\(shown.joined(separator: ", ")))"
    }
}
