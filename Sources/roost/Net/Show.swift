import ArgumentParser
import RoostHost

extension Net {
    /// `roost net show`.
    struct Show: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how a router is: statistics, tables, holders, the collector.",
            discussion: """
                Example: roost net show --json

                The statistics have the names that rtstat gave them.
                """)

        @OptionGroup var router: RouterName

        @Flag(help: "Print everything as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func run() async throws {
            let snapshot = try await router.snapshot()
            guard !json else {
                try Console.printJSON(snapshot, as: "net.show")
                return
            }
            print(
                "net \(snapshot.name): process \(snapshot.processID), up for "
                    + "\(Console.time(snapshot.uptimeSeconds)), \(snapshot.workers) "
                    + (snapshot.workers == 1 ? "worker" : "workers"))
            Self.show(snapshot.namespaces)
            guard !snapshot.collector.isEmpty else { return }
            print("\nthe collector's last passes")
            for pass in snapshot.collector { print(Console.plain(pass.line)) }
        }

        private static func show(_ namespaces: [NetworkSnapshot.Namespace]) {
            let names = namespaces.first?.statistics.named.map(\.name) ?? []
            let counts = namespaces.map { $0.statistics.named.map { "\($0.count)" } }
            let rows = names.indices.map { index in [names[index]] + counts.map { $0[index] } }
            print("\n" + Console.table([["statistics"] + namespaces.map(\.name)] + rows))
            let usage = namespaces.flatMap { namespace in
                namespace.usage.map { table in
                    [
                        namespace.name, table.table, "\(table.used)", "\(table.limit)",
                        "\(table.refused)",
                    ]
                }
            }
            if !usage.isEmpty {
                let head = ["namespace", "table", "used", "limit", "refused"]
                print("\n" + Console.table([head] + usage))
            }
            let holders = namespaces.flatMap { namespace in
                namespace.holders.map { holder in
                    [
                        namespace.name, holder.kind, holder.holder, holder.port ?? "-",
                        "\(holder.count)", Console.time(holder.oldestSeconds),
                    ]
                }
            }
            if !holders.isEmpty {
                let head = ["namespace", "holder", "of", "port", "references", "oldest"]
                print("\n" + Console.table([head] + holders))
            }
        }
    }

    /// `roost net ports`.
    struct Ports: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a router's ports: addresses, counters, drops by reason.",
            discussion: """
                Example: roost net ports

                Example: roost net ports --down left

                --down, --up and --remove may each be given several times; they are carried out in \
                this order. A port that was taken down by hand stays down whatever its device \
                does, until --up; one that was removed is back when the router is started again.
                """)

        @OptionGroup var router: RouterName

        @Option(
            help: ArgumentHelp(
                "Let no more frames through this port (default: none).", valueName: "port"))
        var down: [String] = []

        @Option(
            help: ArgumentHelp(
                "Let frames through this port again (default: none).", valueName: "port"))
        var up: [String] = []

        @Option(
            help: ArgumentHelp("Take this port from the router (default: none).", valueName: "port")
        )
        var remove: [String] = []

        @Flag(help: "Print everything as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            var seen: Set<String> = []
            for port in down + up + remove {
                guard seen.insert(port).inserted else {
                    throw ValidationError(
                        "the port \(port) is given twice: say one thing about it at a time")
                }
            }
        }

        func run() async throws {
            let changes =
                down.map { NetworkPortRequest(port: $0, change: "down") }
                + up.map { NetworkPortRequest(port: $0, change: "up") }
                + remove.map { NetworkPortRequest(port: $0, change: "remove") }
            guard changes.isEmpty else { return try await make(changes) }
            let namespaces = try await router.snapshot().namespaces
            guard !json else {
                try Console.printJSON(PortList(namespaces), as: "net.ports")
                return
            }
            show(namespaces)
        }

        private func make(_ requests: [NetworkPortRequest]) async throws {
            // All names are looked at before the first change.
            let ports = try await router.snapshot().namespaces.flatMap(\.ports).map(\.name)
            let missing = requests.map(\.port).filter { !ports.contains($0) }
            guard missing.isEmpty else {
                throw CommandFailure(
                    "the router has no port '\(missing.joined(separator: "', '"))' and nothing was "
                        + "changed: 'roost net ports' lists its ports")
            }
            var made: [NetworkPortChange] = []
            for request in requests {
                let change = try await router.ask(
                    "port", request, answer: NetworkPortChange.self)
                made.append(change)
                if !json { print(Console.plain(change.line)) }
            }
            if json { try Console.printJSON(NetworkPortChanges(made), as: "net.portChanges") }
        }

        private func show(_ namespaces: [NetworkSnapshot.Namespace]) {
            let rows = namespaces.flatMap { namespace in
                namespace.ports.map { Self.row($0, in: namespace.name) }
            }
            guard !rows.isEmpty else {
                print("the router has no ports: all were removed, or their devices have gone")
                return
            }
            let head = [
                "port", "namespace", "device", "state", "mac", "mtu", "addresses", "received",
                "sent", "dropped",
            ]
            print(Console.table([head] + rows))
            for port in namespaces.flatMap(\.ports) where !port.drops.isEmpty {
                let drops = port.drops.map { "\($0.reason) \($0.count)" }
                print(Console.plain("\(port.name) dropped: \(drops.joined(separator: ", "))"))
            }
        }

        /// The ports by namespace, as JSON has them.
        private struct PortList: Encodable {
            struct Namespace: Encodable {
                let namespace: String
                let ports: [NetworkPort]
            }

            let namespaces: [Namespace]

            init(_ namespaces: [NetworkSnapshot.Namespace]) {
                self.namespaces = namespaces.map { Namespace(namespace: $0.name, ports: $0.ports) }
            }
        }

        private static func row(_ port: NetworkPort, in namespace: String) -> [String] {
            [
                port.name, namespace, port.kind, port.state, port.mac, "\(port.mtu)",
                port.addresses.isEmpty ? "-" : port.addresses.joined(separator: " "),
                "\(port.receivedFrames)", "\(port.sentFrames)", "\(port.dropCount)",
            ]
        }
    }
}
