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

    @OptionGroup(title: "Messages") var console: ConsoleArguments

    func run() async throws {
        if case .tcp = connect, !insecure {
            throw ValidationError(
                "QEMU's stream to \(connect) is not encrypted: connect to unix:PATH, or give "
                    + "--insecure on a network you trust")
        }
        let socket = try StreamSocket.connect(to: connect)
        if case .unix = connect { try socket.checkPeerIsTrusted() }
        let (path, limit) = (input.file, input.limit)
        let line = ProgressReporter("sending")
        let byteCount = try await Interruptible.run {
            try await StreamSender.send(path: path, to: socket, maximumRAMByteCount: limit) {
                line.show($0)
            }
        }
        line.end()
        print(
            "\(path): \(Console.bytes(byteCount)) delivered; QEMU at \(connect) has read it all "
                + "and closed")
    }
}
