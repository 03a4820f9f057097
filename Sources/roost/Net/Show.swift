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
                try Console.printJSON(snapshot)
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
                """)

        @OptionGroup var router: RouterName

        @Option(help: ArgumentHelp("Let no more frames through this port.", valueName: "port"))
        var down: String?

        @Option(help: ArgumentHelp("Let frames through this port again.", valueName: "port"))
        var up: String?

        @Option(help: ArgumentHelp("Take this port from the router.", valueName: "port"))
        var remove: String?

        @Flag(help: "Print everything as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func run() async throws {
            let changes = [("down", down), ("up", up), ("remove", remove)]
            for case (let change, let port?) in changes {
                _ = try await router.ask(
                    "port", NetworkPortRequest(port: port, change: change),
                    answer: ControlNothing.self)
            }
            guard down == nil, up == nil, remove == nil else { return }
            let namespaces = try await router.snapshot().namespaces
            guard !json else {
                try Console.printJSON(namespaces.map(NamespacePorts.init))
                return
            }
            let rows = namespaces.flatMap { namespace in
                namespace.ports.map { Self.row($0, in: namespace.name) }
            }
            guard !rows.isEmpty else {
                print("the router has no ports")
                return
            }
            let head = [
                "port", "namespace", "device", "state", "mac", "mtu", "addresses", "received",
                "sent", "dropped",
            ]
            print(Console.table([head] + rows))
            for port in namespaces.flatMap(\.ports) where !port.drops.isEmpty {
                let drops = port.drops.sorted { ($0.value, $1.key) > ($1.value, $0.key) }
                    .map { "\($0.key) \($0.value)" }
                print(Console.plain("\(port.name) dropped: \(drops.joined(separator: ", "))"))
            }
        }

        /// The ports of a namespace, as JSON has them.
        private struct NamespacePorts: Encodable {
            let namespace: String
            let ports: [NetworkPort]

            init(_ namespace: NetworkSnapshot.Namespace) {
                self.namespace = namespace.name
                ports = namespace.ports
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
