import ArgumentParser
import RoostHost
import RoostRouter
import SystemPackage

extension Net {
    /// `roost net flush`.
    struct Flush: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget what a router has learned: exceptions and neighbours.",
            discussion: """
                Example: roost net flush --prefix 192.0.2.0/24

                Forgets what matches all that is given; with --all everything. Routes stay, and \
                traffic goes on.
                """)

        @OptionGroup var router: RouterName

        @Option(help: ArgumentHelp("Only in this namespace of the router.", valueName: "name"))
        var namespace: String?

        @Option(help: ArgumentHelp("Only about destinations in this prefix.", valueName: "prefix"))
        var prefix: String?

        @Option(help: ArgumentHelp("Only about what this next hop leads to.", valueName: "address"))
        var nextHop: String?

        @Flag(help: "Forget everything.")
        var all = false

        @Flag(help: "Print how much it was as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            let isSelected = namespace != nil || prefix != nil || nextHop != nil
            guard isSelected != all else {
                throw ValidationError(
                    all
                        ? "--all forgets everything: leave it out to choose"
                        : "give --namespace, --prefix or --next-hop, or --all")
            }
            if let prefix, IPPrefix(prefix) == nil {
                throw ValidationError(
                    "--prefix is '\(prefix)': give a prefix such as 192.0.2.0/24, whose bits past "
                        + "its length are 0")
            }
            if let nextHop, IPAddress(nextHop) == nil {
                throw ValidationError("--next-hop is '\(nextHop)': give an address")
            }
        }

        func run() async throws {
            let flushed = try await router.ask(
                "flush",
                NetworkFlushRequest(namespace: namespace, prefix: prefix, nextHop: nextHop),
                answer: NetworkFlushed.self)
            guard !json else {
                try Console.printJSON(flushed)
                return
            }
            print("forgot \(flushed.exceptions) exceptions and \(flushed.neighbours) neighbours")
        }
    }

    /// `roost net trace`.
    struct Trace: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what becomes of packets, or what the collector does, as it happens.",
            discussion: """
                Example: roost net trace --count 10

                Runs until SIGINT or SIGTERM, or until --count lines were shown. Packets are traced \
                only while somebody looks; those for which there is no time are counted.
                """)

        @Argument(
            help: ArgumentHelp("What to trace."))
        var kinds: [TraceKind] = [.packets]

        @OptionGroup var router: RouterName

        @Option(help: ArgumentHelp("End after so many lines.", valueName: "n"))
        var count: Int?

        @Flag(help: "Print each line as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.number("--count", count, 1...Int.max)
        }

        /// How long to wait before asking again.
        private static let interval = Duration.milliseconds(50)

        func run() async throws {
            let shown = self
            try await Interruptible.run {
                do {
                    try await shown.follow()
                } catch is CancellationError {
                    // A signal ended it, as it is meant to.
                } catch let error as HostError where error.kind == .cancelled {
                    // The same, during a question.
                }
            }
        }

        private func follow() async throws {
            let client = try Surroundings.client()
            let name = try router.controlName()
            var left = count ?? .max
            var request = NetworkTraceRequest(kinds: kinds.map(\.rawValue))
            while left > 0 {
                let batch = try await client.perform(
                    "trace", at: name, request, answer: NetworkTraceBatch.self)
                if request.after == nil {
                    Console.note("\(name): tracing \(request.kinds.joined(separator: ", "))")
                }
                request.after = batch.next
                if batch.lostCount > 0 {
                    Console.note("\(name): \(batch.lostCount) more happened than could be kept")
                }
                for record in batch.records.prefix(left) { try show(record) }
                left -= min(left, batch.records.count)
                if batch.records.isEmpty { try await Task.sleep(for: Self.interval) }
            }
        }

        private func show(_ record: NetworkTraceRecord) throws {
            let line = json ? try Console.jsonLine(record) : Console.plain(record.line)
            Console.write(line + "\n", to: .standardOutput)
        }
    }
}

extension NetworkTraceRecord {
    /// The record as one line for a person.
    fileprivate var line: String {
        let time = Console.decimal(seconds, 6)
        if let collector {
            return [time, collector.namespace, collector.line].compactMap { $0 }
                .joined(separator: " ")
        }
        guard let packet else { return time }
        let addresses = packet.source.flatMap { source in
            packet.destination.map { "\(source) > \($0) protocol \(packet.protocolNumber)" }
        }
        let way = packet.outPort.map { port in
            "to \(port)" + (packet.via.map { " via \($0)" } ?? "")
        }
        return [
            time, packet.namespace, packet.port, addresses, "\(packet.byteCount) bytes:",
            packet.decision, way,
        ].compactMap { $0 }.joined(separator: " ")
    }
}
