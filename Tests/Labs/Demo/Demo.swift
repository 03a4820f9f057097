import ArgumentParser
import Foundation
import LabSupport
import RoostMigration
import RoostSystem

/// `roost-demo`: a live move that anyone can watch, with its proofs.
@main
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost-demo",
        abstract: "Move a running Linux guest between two QEMUs through Roost, and prove it.",
        discussion: """
            Needs QEMU and what Tests/Labs/qemu/prepare.sh makes; ROOST_BINARY names roost, unless \
            it lies beside this program. Ends with 0 only when everything was proved.
            """)

    @Option(
        help: ArgumentHelp(
            "The folder that keeps the guest's stream and the map of its pages.",
            valueName: "folder"))
    var output: String

    func run() async throws {
        BrokenPipes.ignore()
        let start = ContinuousClock.now
        let stage = try await Stage.prepare()
        try await stage.move()
        try await stage.store(in: output)
        try await stage.close()
        say("\neverything proved in \(decimal(start.duration(to: .now), 1)) s")
    }
}

/// Prints a line at once.
func say(_ text: String) {
    FileHandle.standardOutput.write(Data((text + "\n").utf8))
}

/// A duration in seconds with digits behind the point.
func decimal(_ duration: Duration, _ digits: Int) -> String {
    String(format: "%.\(digits)f", duration / .seconds(1))
}

/// A number of bytes for people.
func bytes(_ count: UInt64) -> String {
    count < 1 << 20
        ? String(format: "%.1f KiB", Double(count) / 1024)
        : String(format: "%.1f MiB", Double(count) / 1_048_576)
}

/// Something that was to be shown and was not.
struct Unproved: Error, CustomStringConvertible {
    let description: String

    init(_ what: String) { description = "not proved: \(what)" }
}

/// Prints what was proved, or ends the demonstration.
func prove(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    guard holds else { throw Unproved(what()) }
    say("  proved: \(what())")
}
