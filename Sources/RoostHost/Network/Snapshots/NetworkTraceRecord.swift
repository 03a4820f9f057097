internal import FoundationEssentials
public import RoostRouter

/// Something that a router traced, as its control socket tells it.
public struct NetworkTraceRecord: Codable, Equatable, Sendable {
    /// What a pass of the collector did.
    public struct Pass: Codable, Equatable, Sendable {
        /// The namespace's name; missing for a pass over all.
        public var namespace: String?
        /// Entries there are.
        public var total: Int
        /// Entries left since somebody holds them.
        public var delayed: Int
        /// Entries visited.
        public var workPerformed: Int
        /// Entries freed.
        public var freed: Int
        /// How long until the next pass, in milliseconds.
        public var expiresMilliseconds: Int?
        /// How long it took, in microseconds.
        public var elapsedMicroseconds: Int

        init(_ pass: CollectorPass) {
            namespace = pass.namespace
            total = pass.total
            delayed = pass.delayed
            workPerformed = pass.workPerformed
            freed = pass.freed
            expiresMilliseconds = pass.expires.map { Int($0 / .milliseconds(1)) }
            elapsedMicroseconds = Int(pass.elapsed / .microseconds(1))
        }

        /// The pass as a line of a trace.
        public var line: String {
            let expires = expiresMilliseconds.map { "\($0) ms" } ?? "never"
            return "dst_total: \(total) delayed: \(delayed) work_perf: \(workPerformed) "
                + "freed: \(freed) expires: \(expires) elapsed: \(elapsedMicroseconds) us"
        }
    }

    /// Its number.
    public var sequence: UInt64
    /// When, as ISO 8601 has it, in UTC with milliseconds: `2026-11-30T16:45:12.123Z`.
    public var time: String
    /// When, in seconds since the router started.
    public var seconds: Double
    /// What became of a packet, when it was one.
    public var packet: NetworkTracePacket?
    /// What the collector did, when it did something.
    public var collector: Pass?

    init(_ record: TraceRecord, startedAt start: Date) {
        sequence = record.sequence
        seconds = record.time.inSeconds
        time = start.addingTimeInterval(seconds).formatted(Self.style)
        switch record.event {
        case .packet(let packet): self.packet = NetworkTracePacket(packet)
        case .collector(let pass): collector = Pass(pass)
        }
    }

    private static var style: Date.ISO8601FormatStyle {
        Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    }

    /// When it was, in seconds since 1970; nil when the time is not written as it should.
    public var secondsSince1970: Double? {
        (try? Date(time, strategy: Self.style))?.timeIntervalSince1970
    }

    /// What happened, as a line for a person without its time.
    public var line: String {
        if let packet { return packet.line }
        guard let collector else { return "" }
        return [collector.namespace, collector.line].compactMap { $0 }.joined(separator: " ")
    }
}

/// Records of a router's trace.
public struct NetworkTraceBatch: Codable, Equatable, Sendable {
    /// The records.
    public var records: [NetworkTraceRecord]
    /// The number to ask with for what follows.
    public var next: UInt64
    /// How many before these there was no room to keep.
    public var lostCount: UInt64

    /// Takes the records of a router.
    ///
    /// - Parameters:
    ///   - batch: The records.
    ///   - time: The time at which they were answered, in seconds since 1970.
    public init(_ batch: TraceBatch, at time: Double) {
        let start = Date(timeIntervalSince1970: time - batch.time.inSeconds)
        records = batch.records.map { NetworkTraceRecord($0, startedAt: start) }
        next = batch.next
        lostCount = batch.lostCount
    }

    init(_ batch: TraceBatch) {
        self.init(batch, at: Date.now.timeIntervalSince1970)
    }
}
