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
        subcommands: [GuestCommand.self, Relay.self, Receive.self, Send.self, Bench.self])
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
    @Option(help: ArgumentHelp("This side's certificate chain (PEM).", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("This side's private key (PEM).", valueName: "file"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp("The authority that signed the other side (PEM).", valueName: "file"))
    var tlsAuthority: String?

    @Flag(help: "Let tcp: endpoints carry the guest's memory unprotected.")
    var insecure = false

    /// What the options come to for an endpoint.
    func security(for endpoint: Endpoint) throws -> TransportSecurity {
        guard case .tcp = endpoint else { return .none }
        if let tlsCertificate, let tlsKey, let tlsAuthority {
            guard !insecure else {
                throw ValidationError("give the --tls options or --insecure, not both")
            }
            return .tls(
                try TLSIdentity(
                    certificate: tlsCertificate, key: tlsKey, authority: tlsAuthority))
        }
        guard insecure else {
            throw ValidationError(
                "\(endpoint) would carry the guest's memory unprotected: give --tls-certificate, "
                    + "--tls-key and --tls-authority, or --insecure on a network you trust")
        }
        return .none
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
            "Write each RAM block to this folder as it was at switch-over.", valueName: "folder"))
    var dump: String?

    @Flag(help: "Print what was moved as JSON.")
    var json = false

    var options: RelayOptions {
        RelayOptions(
            maximumRAMByteCount: maximumMemory?.bytes ?? Console.physicalMemory, dumpFolder: dump)
    }

    /// Prints what was moved.
    func report(_ statistics: RelayStatistics, _ headline: String) throws {
        guard !json else {
            try Console.printJSON(statistics)
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
