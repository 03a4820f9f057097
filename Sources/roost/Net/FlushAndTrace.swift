import ArgumentParser
import Glibc
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

        @Option(
            help: ArgumentHelp(
                "Only in this namespace of the router (default: any).", valueName: "name"))
        var namespace: String?

        @Option(
            help: ArgumentHelp(
                "Only about destinations in this prefix (default: any).", valueName: "prefix"))
        var prefix: String?

        @Option(
            help: ArgumentHelp(
                "Only about what this next hop leads to (default: any).", valueName: "address"))
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
                try Console.printJSON(flushed, as: "net.flush")
                return
            }
            print(
                "forgot \(flushed.exceptions) "
                    + (flushed.exceptions == 1 ? "exception" : "exceptions")
                    + " and \(flushed.neighbours) "
                    + (flushed.neighbours == 1 ? "neighbour" : "neighbours"))
        }
    }

    /// `roost net trace`.
    struct Trace: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what becomes of packets, or what the collector does, as it happens.",
            discussion: """
                Example: roost net trace --count 10

                Runs until SIGINT or SIGTERM, or until --count lines were shown. Packets are traced \
                only while somebody looks; those for which there is no time are counted. A line \
                has the time of day, the seconds since the router started, the namespace, the port \
                that the packet came in by, its ends with their ports, its protocol, and what \
                became of it.
                """)

        @Argument(
            help: ArgumentHelp("What to trace."))
        var kinds: [TraceKind] = [.packets]

        @OptionGroup var router: RouterName

        @Option(
            help: ArgumentHelp(
                "End after so many lines (default: when it is told to).", valueName: "n"))
        var count: Int?

        @Flag(help: "Print each line as a document of JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.number("--count", count, 1...Int.max)
        }

        /// How long to wait before asking again.
        private static let interval = Duration.milliseconds(50)

        func run() async throws {
            do {
                try await follow()
            } catch is CancellationError {
                // A signal ended it, as it is meant to.
            } catch let error as HostError where error.kind == .cancelled {
                // The same, during a question.
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
            guard !json else {
                try Console.printJSONLine(record, as: "net.trace")
                return
            }
            let time = "\(Self.timeOfDay(record)) \(Console.decimal(record.seconds, 3))"
            Console.write(Console.plain("\(time) \(record.line)") + "\n", to: .standardOutput)
        }

        /// The time of day here, with milliseconds: `16:45:12.123`.
        private static func timeOfDay(_ record: NetworkTraceRecord) -> String {
            guard let seconds = record.secondsSince1970 else { return record.time }
            let milliseconds = Int((seconds * 1000).rounded())
            var whole = time_t(milliseconds / 1000)
            // SAFETY: both are local values, alive for the call; numbers of the answer alone are read.
            var parts = unsafe tm()
            guard unsafe localtime_r(&whole, &parts) != nil else { return record.time }
            let numbers = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec]
            return numbers.map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
                + "." + String("\(1000 + milliseconds % 1000)".dropFirst())
        }
    }
}
