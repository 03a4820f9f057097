import ArgumentParser
import RoostHost
import SystemPackage

extension Disk {
    /// `roost disk list`.
    struct List: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Show the disks that are served: states, features, grants, rates.",
            discussion: """
                Example: roost disk list --watch

                Each disk is asked twice, and rates are those of the time between. Percentiles of \
                the time that requests took are within 3 %.
                """)

        @Flag(help: "Show the domains that live instead: number, name, disks and devices.")
        var domains = false

        @Flag(help: "Print everything as JSON; with --watch a document a line.")
        var json = false

        @Flag(help: "Show it again and again, until SIGINT.")
        var watch = false

        @Option(
            help: ArgumentHelp(
                "The time over which rates are taken (default: 200, with --watch 1000).",
                valueName: "ms"))
        var interval: Int?

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.number("--interval", interval, 10...60_000)
            guard !domains || !watch && interval == nil else {
                throw ValidationError(
                    "--domains shows the domains once: leave --watch and --interval out")
            }
        }

        func run() async throws {
            guard !domains else { return try await showDomains() }
            let client = try Surroundings.client()
            let time = Duration.milliseconds(interval ?? (watch ? 1000 : 200))
            guard watch else {
                try show(await DiskListing.read(client, over: time))
                return
            }
            var last = await client.survey(DiskSnapshot.self, of: .disk)
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: time)
                } catch {
                    return
                }
                let next = await client.survey(DiskSnapshot.self, of: .disk)
                if Console.isTerminal(.standardOutput), !json {
                    // Home, and clear what is below.
                    Console.write("\u{1b}[H\u{1b}[J", to: .standardOutput)
                }
                try show(DiskListing(from: last, to: next))
                last = next
            }
        }

        private func show(_ listing: DiskListing) throws {
            guard !json else {
                if watch {
                    try Console.printJSONLine(listing, as: "disk.list")
                } else {
                    try Console.printJSON(listing, as: "disk.list")
                }
                return
            }
            guard !listing.disks.isEmpty else {
                print("no disk is served")
                return
            }
            let head = [
                "disk", "image", "size", "domain", "guest", "device", "state", "features", "grants",
                "read/s", "write/s", "IOPS", "p50", "p99",
            ]
            print(Console.table([head] + listing.disks.flatMap(Self.rows)))
            for entry in listing.disks {
                guard let failure = entry.failure else { continue }
                Console.note(Console.plain(failure))
            }
        }

        private func showDomains() async throws {
            let store = try await DiskEngines.store(environment: Surroundings.environment)
            let listing = try await DomainListing.read(from: store)
            guard !json else {
                try Console.printJSON(listing, as: "disk.domains")
                return
            }
            guard !listing.domains.isEmpty else {
                print("no domain lives")
                return
            }
            let rows = listing.domains.map { entry in
                [
                    "\(entry.domain)", entry.name ?? "", entry.disks.joined(separator: ","),
                    entry.devices.joined(separator: ","),
                ]
            }
            print(Console.table([["domain", "name", "serves", "devices"]] + rows))
        }

        private static func rows(_ entry: DiskListing.Entry) -> [[String]] {
            guard let disk = entry.disk else {
                return [[entry.name, entry.condition] + Array(repeating: "-", count: 12)]
            }
            let own = [
                disk.name, disk.image + (disk.isReadOnly ? " (ro)" : ""),
                Console.bytes(disk.byteCount), "\(disk.domain)",
            ]
            guard !disk.devices.isEmpty else {
                return [own + Array(repeating: "-", count: 10)]
            }
            return disk.devices.enumerated().map { index, device in
                let rates = index < entry.rates.count ? entry.rates[index] : nil
                return own + row(device, rates)
            }
        }

        private static func row(_ device: DeviceSnapshot, _ rates: DiskRates?) -> [String] {
            let total = device.total
            let state =
                device.frontendState == device.backendState
                ? device.backendState : "\(device.frontendState)/\(device.backendState)"
            let percentiles = [50.0, 99].map { percentage in
                total.latency.nanoseconds(atPercentile: percentage).map(LatencyHistogram.text)
                    ?? "-"
            }
            return [
                "\(device.frontend)",
                "\(DiskNodes.deviceName(device.device)) (\(device.device))", state,
                features(device),
                "\(total.grantsMapped)/\(total.grantsLimit)", rate(rates?.readBytesPerSecond),
                rate(rates?.writtenBytesPerSecond),
                rates.map { Console.decimal($0.readsPerSecond + $0.writesPerSecond, 0) } ?? "-",
            ] + percentiles
        }

        private static func rate(_ bytes: Double?) -> String {
            bytes.map { Console.bytes(UInt64(max(0, min($0, 1e18)))) } ?? "-"
        }

        /// The features in short: what is on, and how many queues and segments.
        private static func features(_ device: DeviceSnapshot) -> String {
            guard let features = device.features else { return "-" }
            var words: [String] = []
            if features.isPersistent { words.append("persistent") }
            if features.indirectSegmentLimit > 0 {
                words.append("indirect:\(features.indirectSegmentLimit)")
            }
            if features.canFlush { words.append("flush") }
            if features.canWriteBarriers { words.append("barrier") }
            if features.canDiscard { words.append("discard") }
            words.append("queues:\(device.queues.count)")
            return words.joined(separator: ",")
        }
    }
}
