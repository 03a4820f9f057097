/// How fast a device is, between two snapshots of its disk.
///
/// The asker computes it: a disk that nobody looks at keeps no window of time and sets no timer.
public struct DiskRates: Codable, Equatable, Sendable {
    /// Reads in a second.
    public var readsPerSecond: Double
    /// Writes in a second.
    public var writesPerSecond: Double
    /// Bytes read in a second.
    public var readBytesPerSecond: Double
    /// Bytes written in a second.
    public var writtenBytesPerSecond: Double

    /// Compares what a device has done at two times.
    ///
    /// - Parameters:
    ///   - before: What it had done.
    ///   - after: What it has done; counters that are lower began anew with a new connection.
    ///   - seconds: The time between, above 0.
    public init(from before: QueueSnapshot, to after: QueueSnapshot, seconds: Double) {
        let isNew = after.reads < before.reads || after.writes < before.writes
        func rate(_ counter: KeyPath<QueueSnapshot, UInt64>) -> Double {
            let earlier = isNew ? 0 : before[keyPath: counter]
            let later = after[keyPath: counter]
            guard seconds > 0, later > earlier else { return 0 }
            return Double(later - earlier) / seconds
        }
        readsPerSecond = rate(\.reads)
        writesPerSecond = rate(\.writes)
        readBytesPerSecond = rate(\.readBytes)
        writtenBytesPerSecond = rate(\.writtenBytes)
    }
}

/// All disks of a run directory, as `roost disk list` shows them.
public struct DiskListing: Codable, Equatable, Sendable {
    /// A disk, or why its process does not tell about it.
    public struct Entry: Codable, Equatable, Sendable {
        /// The disk's name.
        public var name: String
        /// What its process says; `nil` when it does not answer.
        public var disk: DiskSnapshot?
        /// The rates of its devices, in the disk's order.
        public var rates: [DiskRates]
        /// Why there is no snapshot: one sentence.
        public var failure: String?
        /// In one word: `served`, `dead`, `hung` or `unreadable`.
        public var condition: String
    }

    /// The disks, by name.
    public var disks: [Entry]

    /// Asks every disk of a folder twice.
    ///
    /// - Parameters:
    ///   - client: Asks.
    ///   - interval: The time between, over which rates are taken.
    /// - Returns: The disks.
    public static func read(_ client: ControlClient, over interval: Duration) async -> DiskListing {
        let first = await client.survey(DiskSnapshot.self, of: .disk)
        try? await Task.sleep(for: interval)
        let second = await client.survey(DiskSnapshot.self, of: .disk)
        return DiskListing(from: first, to: second)
    }

    /// What each disk answered, as ``ControlClient/survey(_:of:)`` gives it.
    public typealias Answers = [(name: ControlName, answer: Result<DiskSnapshot, HostError>)]

    /// Compares two rounds of answers; those of the second are shown.
    ///
    /// - Parameters:
    ///   - first: The earlier round.
    ///   - second: The later one.
    public init(from first: Answers, to second: Answers) {
        var earlier: [String: DiskSnapshot] = [:]
        for (name, answer) in first { earlier[name.name] = try? answer.get() }
        disks = second.map { name, answer in
            switch answer {
            case .success(let disk):
                let rates = Self.rates(from: earlier[name.name], to: disk)
                return Entry(name: name.name, disk: disk, rates: rates, condition: "served")
            case .failure(let error):
                let condition =
                    switch error.kind {
                    case .dead, .absent: "dead"
                    case .timeout: "hung"
                    default: "unreadable"
                    }
                return Entry(
                    name: name.name, rates: [], failure: error.description, condition: condition)
            }
        }
    }

    private static func rates(from before: DiskSnapshot?, to after: DiskSnapshot) -> [DiskRates] {
        let isSame = before?.processID == after.processID
        let start = isSame ? before?.nanoseconds ?? after.nanoseconds : after.nanoseconds
        let seconds = after.nanoseconds > start ? Double(after.nanoseconds - start) / 1e9 : 0
        return after.devices.map { device in
            let earlier = before?.devices.first {
                $0.frontend == device.frontend && $0.device == device.device
            }
            return DiskRates(
                from: earlier?.total ?? QueueSnapshot(), to: device.total, seconds: seconds)
        }
    }
}
