/// What can be traced.
public enum TraceKind: String, CaseIterable, Sendable {
    /// Each packet and what became of it.
    case packets
    /// Each pass of the collector.
    case collector
}

/// Something that happened while tracing was on.
public struct TraceRecord: Equatable, Sendable {
    /// What happened.
    public enum Event: Equatable, Sendable {
        /// A packet came, and this became of it.
        case packet(PacketTrace)
        /// The collector made a pass.
        case collector(CollectorPass)
    }

    /// Its number; each record has the next one, so that a gap tells of lost ones.
    public var sequence: UInt64
    /// When, since the router started.
    public var time: Duration
    /// What happened.
    public var event: Event

    /// Describes what happened.
    public init(sequence: UInt64, time: Duration, event: Event) {
        self.sequence = sequence
        self.time = time
        self.event = event
    }
}

/// What became of a packet.
public struct PacketTrace: Equatable, Sendable {
    /// The namespace's name.
    public var namespace: String
    /// The name of the port that it came in by.
    public var port: String
    /// What its headers say.
    public var headers = PacketHeaders()
    /// The length of the frame.
    public var byteCount: Int
    /// What became of it: `forward`, `deliver`, `punt`, or why it was dropped.
    public var decision: String
    /// The name of the port that it left by.
    public var outPort: String?

    /// Describes what became of a packet.
    public init(namespace: String, port: String, byteCount: Int, decision: String) {
        self.namespace = namespace
        self.port = port
        self.byteCount = byteCount
        self.decision = decision
    }
}

/// What a pass of the collector did.
public struct CollectorPass: Equatable, Sendable {
    /// The namespace's name; nil for a pass over all.
    public var namespace: String?
    /// Entries there are after it.
    public var total: Int
    /// Entries that it left since somebody holds them.
    public var delayed: Int
    /// Entries that it visited.
    public var workPerformed: Int
    /// Entries that it freed.
    public var freed: Int
    /// How long until the next pass; nil when none is needed.
    public var expires: Duration?
    /// How long it took.
    public var elapsed: Duration

    /// Describes a pass.
    public init(
        namespace: String?, total: Int, delayed: Int, workPerformed: Int, freed: Int,
        expires: Duration?, elapsed: Duration
    ) {
        self.namespace = namespace
        self.total = total
        self.delayed = delayed
        self.workPerformed = workPerformed
        self.freed = freed
        self.expires = expires
        self.elapsed = elapsed
    }
}

/// Records of a trace.
public struct TraceBatch: Equatable, Sendable {
    /// The records.
    public var records: [TraceRecord]
    /// The number to ask with for what follows.
    public var next: UInt64
    /// How many records before these there was no room to keep.
    public var lostCount: UInt64
    /// When this was answered, since the router started.
    public var time: Duration

    /// Hands out records.
    public init(records: [TraceRecord], next: UInt64, lostCount: UInt64, time: Duration) {
        self.time = time
        self.records = records
        self.next = next
        self.lostCount = lostCount
    }
}
