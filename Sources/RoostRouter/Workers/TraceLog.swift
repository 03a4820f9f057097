internal import RoostMemory
internal import Synchronization

/// What happens while somebody looks: each packet's verdict, each pass of the collector.
///
/// Nothing is noted unless somebody asked within the last ``attention`` milliseconds, so a client that
/// dies leaves nothing on. Workers ask once a batch whether packets are traced.
final class TraceLog: Sendable {
    /// How long records are taken after somebody has asked for them, in milliseconds.
    static let attention: UInt64 = 5_000
    /// How many records are kept; older ones are lost and counted.
    static let capacity = 4_096

    /// What was seen of a packet.
    struct PacketNote: Sendable {
        let port: PortIndex
        let byteCount: Int
        let verdict: Verdict
        let headers: PacketHeaders
    }

    /// What happened.
    enum Event: Sendable {
        case packet(PacketNote)
        case collector(CollectorPass)
    }

    /// An event with its number and time in milliseconds.
    struct Record: Sendable {
        let sequence: UInt64
        let time: UInt64
        let event: Event
    }

    private struct State {
        var records: [Record] = []
        /// Where the oldest lies, once the list is full.
        var oldest = 0
        var next: UInt64 = 1
    }

    private let state = Mutex(State())
    private let packetsUntil = Atomic<UInt64>(0)
    private let collectorUntil = Atomic<UInt64>(0)

    /// Whether packets are traced now.
    func tracesPackets(now: UInt64) -> Bool { now < packetsUntil.load(ordering: .relaxed) }

    /// Notes a packet's verdict.
    func note(
        _ frame: RawSpan, _ verdict: Verdict, _ ingress: ForwardingStep.Ingress, now: UInt64
    ) {
        let note = PacketNote(
            port: ingress.port, byteCount: frame.byteCount, verdict: verdict,
            headers: PacketHeaders(frame))
        append(.packet(note), now)
    }

    /// Notes a pass of the collector, if they are traced now.
    func note(_ pass: CollectorPass, now: UInt64) {
        guard now < collectorUntil.load(ordering: .relaxed) else { return }
        append(.collector(pass), now)
    }

    private func append(_ event: Event, _ now: UInt64) {
        state.withLock { state in
            let record = Record(sequence: state.next, time: now, event: event)
            state.next += 1
            if state.records.count < Self.capacity {
                state.records.append(record)
            } else {
                state.records[state.oldest] = record
                state.oldest = (state.oldest + 1) % Self.capacity
            }
        }
    }

    /// Has things traced from now on, and answers what was since a record.
    ///
    /// - Parameters:
    ///   - kinds: What to trace.
    ///   - sequence: The last record that is known; nil begins now.
    ///   - limit: At most how many records to answer.
    ///   - now: The time in milliseconds.
    /// - Returns: Records in order, the number to ask with next, and how many were lost between.
    func records(
        of kinds: Set<TraceKind>, after sequence: UInt64?, limit: Int, now: UInt64
    ) -> (records: [Record], next: UInt64, lost: UInt64) {
        if kinds.contains(.packets) { packetsUntil.store(now + Self.attention, ordering: .relaxed) }
        if kinds.contains(.collector) {
            collectorUntil.store(now + Self.attention, ordering: .relaxed)
        }
        return state.withLock { state in
            guard let sequence else { return ([], state.next - 1, 0) }
            let inOrder = state.records[state.oldest...] + state.records[..<state.oldest]
            // The number is the asker's, who may give any.
            let lost = (inOrder.first?.sequence ?? state.next).subtractingClamped(
                sequence == .max ? .max : sequence + 1)
            let found = inOrder.filter { $0.sequence > sequence }.prefix(max(limit, 0))
            let wanted = found.filter { record in
                switch record.event {
                case .packet: kinds.contains(.packets)
                case .collector: kinds.contains(.collector)
                }
            }
            return (wanted, found.last?.sequence ?? sequence, lost)
        }
    }
}

extension UInt64 {
    /// The difference, or 0 when the other is larger.
    func subtractingClamped(_ other: UInt64) -> UInt64 { self > other ? self - other : 0 }
}
