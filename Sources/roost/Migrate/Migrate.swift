import ArgumentParser
import RoostHost
import RoostMigration
import RoostSystem

/// `roost migrate`.
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Move a running guest between QEMUs through Roost.",
        discussion: """
            Two relays stand between the QEMUs:

              source QEMU → roost migrate relay ⇒ roost migrate receive → destination QEMU

            roost migrate guest drives both QEMUs on one host; send plays a stored stream.
            """,
        subcommands: [
            GuestCommand.self, Relay.self, Receive.self, Send.self, Resolve.self, Bench.self,
        ])
}

/// An endpoint on the command line, whose refusal says what is wrong with it.
enum EndpointArgument {
    @Sendable static func parse(_ text: String) throws -> Endpoint {
        do {
            return try Endpoint(text)
        } catch {
            throw ValidationError("\(error)")
        }
    }
}

/// How TCP connections between the relays are protected.
struct SecurityOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "This side's certificate chain, PEM (default: none).",
            valueName: "file"))
    var tlsCertificate: String?

    @Option(
        help: ArgumentHelp("This side's private key, PEM (default: none).", valueName: "file"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp(
            "The authority that signed the other side, PEM (default: none).", valueName: "file"))
    var tlsAuthority: String?

    @Flag(help: "Let tcp: endpoints carry the guest's memory unprotected.")
    var insecure = false

    /// Refuses what the options alone show to be no protection of an endpoint between the relays.
    func check(for endpoint: Endpoint) throws(ValidationError) {
        let given = [tlsCertificate, tlsKey, tlsAuthority].count { $0 != nil }
        guard given == 0 || given == 3 else {
            throw ValidationError(
                "--tls-certificate, --tls-key and --tls-authority belong together: give all three")
        }
        guard case .tcp = endpoint else { return }
        guard given == 0 || !insecure else {
            throw ValidationError("give the --tls options or --insecure, not both")
        }
        guard given > 0 || insecure else {
            throw ValidationError(
                "\(endpoint) would carry the guest's memory unprotected: give --tls-certificate, "
                    + "--tls-key and --tls-authority, or --insecure on a network you trust")
        }
    }

    /// Refuses an endpoint for QEMU's own stream that others on the network could read.
    func check(stream endpoint: Endpoint, unix advice: String) throws(ValidationError) {
        guard case .tcp = endpoint, !insecure else { return }
        throw ValidationError(
            "QEMU's own stream on \(endpoint) is not encrypted: \(advice), or give --insecure on a "
                + "network you trust")
    }

    /// What the options come to for an endpoint, with the files that they name.
    func security(for endpoint: Endpoint) throws -> TransportSecurity {
        guard case .tcp = endpoint, let tlsCertificate, let tlsKey, let tlsAuthority else {
            return .none
        }
        return .tls(
            try TLSIdentity(certificate: tlsCertificate, key: tlsKey, authority: tlsAuthority))
    }
}

/// What relay and receive share.
struct RelayArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The most memory the guest may have, such as 8G (default: this machine's).",
            valueName: "size"))
    var maximumMemory: ByteCount?

    @Option(
        help: ArgumentHelp(
            "The most memory to hold for the move, such as 8G (default: what is available).",
            valueName: "size"))
    var memoryLimit: ByteCount?

    @Option(
        help: ArgumentHelp(
            "After how many seconds without a sign of life the other side counts as gone.",
            valueName: "s"))
    var linkTimeout = 10

    @Option(
        help: ArgumentHelp(
            "Write each RAM block to this folder as it was at switch-over (default: none).",
            valueName: "folder"))
    var dump: String?

    @Flag(help: "Replace files that exist.")
    var force = false

    @Flag(help: "Print what was moved as JSON.")
    var json = false

    func validate() throws {
        try Checked.number("--link-timeout", linkTimeout, 1...3600)
    }

    /// Looks at the folder before anything begins.
    func check() throws {
        if let dump { try OutputFolder.check(dump, mayReplace: force) }
    }

    var options: RelayOptions {
        var options = RelayOptions(
            maximumRAMByteCount: maximumMemory?.bytes ?? Console.physicalMemory, dumpFolder: dump)
        options.memoryLimit = memoryLimit?.bytes
        options.linkTimeout = .seconds(linkTimeout)
        return options
    }

    /// Prints what was moved, as a document of a kind or as a table.
    func report(
        _ statistics: RelayStatistics, as kind: String, _ headline: String
    ) throws {
        guard !json else {
            try Console.printJSON(statistics, as: kind)
            return
        }
        print(headline)
        print(Console.table(Self.rows(statistics)))
    }

    /// A table of what was moved.
    static func rows(_ statistics: RelayStatistics) -> [[String]] {
        [
            ["what", "amount"],
            ["QEMU's stream", Console.bytes(statistics.streamBytes)],
            ["Roost's wire", Console.bytes(statistics.wireBytes)],
            ["pages zero", "\(statistics.zeroPages)"],
            ["pages plain", "\(statistics.plainPages)"],
            ["pages xbzrle", "\(statistics.deltaPages)"],
            ["pages compressed", "\(statistics.compressedPages)"],
            ["pages unchanged", "\(statistics.unchangedPages)"],
        ]
    }
}
