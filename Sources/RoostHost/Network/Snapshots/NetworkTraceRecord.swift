internal import RoostRouter

/// Something that a router traced, as its control socket tells it.
public struct NetworkTraceRecord: Codable, Equatable, Sendable {
    /// What became of a packet.
    public struct Packet: Codable, Equatable, Sendable {
        /// The namespace's name.
        public var namespace: String
        /// The port that it came in by.
        public var port: String
        /// Where it came from.
        public var source: String?
        /// Where it was to go.
        public var destination: String?
        /// Its protocol (IANA's number).
        public var protocolNumber: UInt8
        /// The length of its frame.
        public var byteCount: Int
        /// What became of it.
        public var decision: String
        /// The port that it left by.
        public var outPort: String?
        /// Its next hop.
        public var via: String?
    }

    /// What a pass of the collector did, under the names of its trace line.
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

        private enum CodingKeys: String, CodingKey {
            case namespace, freed, delayed
            case total = "dst_total"
            case workPerformed = "work_perf"
            case expiresMilliseconds = "expires"
            case elapsedMicroseconds = "elapsed"
        }

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
    /// When, in seconds since the router started.
    public var seconds: Double
    /// What became of a packet, when it was one.
    public var packet: Packet?
    /// What the collector did, when it did something.
    public var collector: Pass?

    init(_ record: TraceRecord) {
        sequence = record.sequence
        seconds = record.time.inSeconds
        switch record.event {
        case .packet(let packet): self.packet = Packet(packet)
        case .collector(let pass): collector = Pass(pass)
        }
    }
}

extension NetworkTraceRecord.Packet {
    init(_ packet: PacketTrace) {
        namespace = packet.namespace
        port = packet.port
        source = packet.source?.description
        destination = packet.destination?.description
        protocolNumber = packet.protocolNumber
        byteCount = packet.byteCount
        decision = packet.decision
        outPort = packet.outPort
        via = packet.nextHop?.description
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

    init(_ batch: TraceBatch) {
        records = batch.records.map(NetworkTraceRecord.init)
        next = batch.next
        lostCount = batch.lostCount
    }
}
