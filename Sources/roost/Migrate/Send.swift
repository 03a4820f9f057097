import ArgumentParser
import RoostMigration
import RoostSystem

/// `roost migrate send`.
struct Send: AsyncParsableCommand, ConsoleCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a stored stream to a waiting QEMU.",
        discussion: """
            Example: roost migrate send guest.stream.zst --connect unix:/run/in.sock
            The destination was started with -incoming unix:/run/in.sock
            """)

    @OptionGroup var input: StreamFile

    @Option(
        help: ArgumentHelp(
            "Where the destination QEMU waits.", valueName: "unix:PATH|tcp:HOST:PORT"),
        transform: EndpointArgument.parse)
    var connect: Endpoint

    @Flag(help: "Let a tcp: endpoint carry the guest's memory unprotected.")
    var insecure = false

    @Flag(help: "Print what was sent as JSON.")
    var json = false

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func validate() throws {
        guard case .tcp = connect, !insecure else { return }
        throw ValidationError(
            "QEMU's stream to \(connect) is not encrypted: connect to unix:PATH, or give "
                + "--insecure on a network you trust")
    }

    func run() async throws {
        // A QEMU that waits ends with its first connection, so the file is looked at before.
        try StreamSender.check(path: input.file, maximumRAMByteCount: input.limit)
        let socket = try StreamSocket.connect(to: connect)
        if case .unix = connect { try socket.checkPeerIsTrusted() }
        let (path, limit) = (input.file, input.limit)
        let line = ProgressReporter("sending")
        let byteCount = try await StreamSender.send(
            path: path, to: socket, maximumRAMByteCount: limit
        ) {
            line.show($0)
        }
        line.end()
        guard !json else {
            let sent = Sent(file: path, destination: "\(connect)", streamBytes: byteCount)
            try Console.printJSON(sent, as: "migrate.send")
            return
        }
        print(
            "\(path): \(Console.bytes(byteCount)) delivered; QEMU at \(connect) has read it all "
                + "and closed")
    }

    /// What was sent, in JSON.
    private struct Sent: Encodable {
        let file: String
        let destination: String
        let streamBytes: UInt64
    }
}
