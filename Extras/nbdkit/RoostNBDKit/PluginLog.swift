internal import Logging
internal import RoostSystem
internal import SystemPackage

/// The plugin's log on nbdkit's standard error, in the form that roost's own commands have.
struct PluginLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let level = LogLine.Level(rawValue: event.level.rawValue) ?? .info
        let line = LogLine.text("\(event.message)", level)
        // Nobody can be told that standard error is gone.
        _ = try? FileDescriptor.standardError.writeAll(line.utf8)
    }
}
