import ArgumentParser
import Logging
import RoostHost

/// How much a command tells of what it does, besides its result.
struct ConsoleArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The least severe messages that are logged: \(Choice.names(Logger.Level.self)) "
                + "(default: info, with --quiet warning).",
            valueName: "level"))
    var logLevel: Logger.Level?

    @Flag(help: "Tell only what is wrong: no notes, no progress.")
    var quiet = false

    /// Makes it so for the process.
    func apply() {
        if quiet { Console.beQuiet() }
        let level = logLevel ?? (quiet ? .warning : .info)
        LoggingSystem.bootstrap { _ in ConsoleLogHandler(level: level) { Console.say($0) } }
    }
}

/// A command that logs, notes or shows progress.
protocol ConsoleCommand: ParsableCommand {
    /// How much it tells.
    var console: ConsoleArguments { get }
}
