import ArgumentParser
import RoostHost
import RoostMigration
import RoostSystem

/// `roost migrate resolve`.
struct Resolve: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what this host knows of moves, and settle one by your word.",
        discussion: """
            Example: roost migrate resolve 8c5f…e1 --to source --qmp src.qmp

            Without a move, lists those of which a record is here. A move whose guest may have been \
            handed on is given back to the source only with --destination-ended, by which you say \
            that the QEMU at the destination has ended. What is settled once stays so. Run it at both \
            hosts.
            """)

    @Argument(
        help: ArgumentHelp(
            "The move's number, 32 digits (default: all are listed).", valueName: "move"))
    var move: String?

    @Option(
        help: ArgumentHelp(
            "Which end gets the guest (default: nothing is settled).",
            valueName: "source|destination"))
    var to: Resolution.Side?

    @Flag(help: "You have seen to it that the destination's QEMU has ended.")
    var destinationEnded = false

    @Option(
        help: ArgumentHelp(
            "The source's QMP socket, by which its guest is continued (default: none).",
            valueName: "src.qmp"))
    var qmp: String?

    @Flag(help: "Print what is known as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        guard move == nil || MoveSession(move ?? "") != nil else {
            throw ValidationError(
                "\(move ?? "") is no move: give its number, 32 digits of 0 to 9 and a to f")
        }
        guard move != nil || to == nil else {
            throw ValidationError("--to settles one move: give its number")
        }
        guard qmp == nil || to == .source else {
            throw ValidationError(
                "--qmp continues the guest at the source: it goes with --to source")
        }
        guard !destinationEnded || to == .source else {
            throw ValidationError("--destination-ended goes with --to source")
        }
    }

    func run() async throws {
        let folder = try RunDirectory.standard(environment: Surroundings.environment).movesFolder()
        guard let move, let session = MoveSession(move) else {
            return try show(Resolution.knowledge(in: folder))
        }
        guard let to else {
            let known = Resolution.knowledge(in: folder).filter { $0.session == move }
            guard !known.isEmpty else {
                throw CommandFailure(
                    "this host knows of no move \(move): look at the other end's host")
            }
            return try show(known)
        }
        let known = try Resolution.settle(
            session, in: folder, to: to, destinationHasEnded: destinationEnded)
        if let qmp {
            let source = try await QMPClient.connect(to: .unix(path: qmp))
            try await source.continueGuest()
            await source.close()
            Console.note("resolve: the source's guest was told to go on (cont)")
        }
        try show(known)
    }

    private func show(_ known: [Resolution.Knowledge]) throws {
        guard !json else {
            return try Console.printJSON(Document(moves: known), as: "migrate.resolve")
        }
        guard !known.isEmpty else { return print("no move has left a record on this host") }
        print(
            Console.table(
                [["move", "end", "step", "the guest", "settled", "command"]]
                    + known.map {
                        [
                            $0.session, $0.end, $0.step, $0.guest, $0.isSettled ? "yes" : "no",
                            $0.command,
                        ]
                    }))
    }

    private struct Document: Encodable {
        let moves: [Resolution.Knowledge]
    }
}

extension Resolution.Side: ExpressibleByArgument {}
