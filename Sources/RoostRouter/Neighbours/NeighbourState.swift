/// The states of a neighbour (RFC 4861, section 7.3.2).
enum NeighbourPhase: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// Nothing is known, and nobody asks.
    case none
    /// It is asked for; packets wait.
    case incomplete
    /// It answered lately.
    case reachable
    /// Its address is known, and nothing has confirmed it lately; it is used until a packet asks.
    case stale
    /// It is used without confirmation, which something may still bring.
    case delay
    /// It is used and asked.
    case probe
    /// It did not answer; nobody asks again for a while.
    case failed
    /// It needs no address.
    case noARP
    /// Its address was given by hand.
    case permanent

    /// Whether packets can be sent to it.
    var isUsable: Bool {
        switch self {
        case .reachable, .stale, .delay, .probe, .noARP, .permanent: true
        case .none, .incomplete, .failed: false
        }
    }

    /// Whether it is left by time.
    var isTimed: Bool {
        switch self {
        case .incomplete, .reachable, .stale, .delay, .probe, .failed: true
        case .none, .noARP, .permanent: false
        }
    }

    /// The name in reports.
    var name: String {
        switch self {
        case .none: "none"
        case .incomplete: "incomplete"
        case .reachable: "reachable"
        case .stale: "stale"
        case .delay: "delay"
        case .probe: "probe"
        case .failed: "failed"
        case .noARP: "noarp"
        case .permanent: "permanent"
        }
    }
}

/// What a neighbour said about itself.
struct NeighbourAnswer: BitwiseCopyable, Equatable, Sendable {
    /// Its link-layer address; nil when the message has none (RFC 4861, section 4.4).
    var link: MACAddress?
    /// Whether it answers what we asked.
    var isSolicited: Bool
    /// Whether it may change an address that is known.
    var isOverride: Bool
    /// Whether it is a router; nil when the message does not say.
    var isRouter: Bool?
}

/// What happens to a neighbour.
enum NeighbourEvent: BitwiseCopyable, Equatable, Sendable {
    /// A packet is to be sent to it.
    case packet
    /// It said something.
    case answer(NeighbourAnswer)
    /// Something else shows that packets reach it, such as progress of a connection.
    case confirmation
    /// Time went by; nothing happens before the deadline.
    case timer
    /// Its port went down or away.
    case portDown
}

/// What is to be done after an event.
struct NeighbourActions: OptionSet, Sendable {
    let rawValue: UInt8

    /// The packet of the event can be sent.
    static let send = NeighbourActions(rawValue: 1)
    /// The packet of the event waits.
    static let queue = NeighbourActions(rawValue: 2)
    /// Ask the group that the neighbour is in, or everyone.
    static let solicitGroup = NeighbourActions(rawValue: 4)
    /// Ask the neighbour itself.
    static let solicitStation = NeighbourActions(rawValue: 8)
    /// Send what waits.
    static let flush = NeighbourActions(rawValue: 16)
    /// Report what waits, and the packet of the event, as undeliverable.
    static let fail = NeighbourActions(rawValue: 32)
    /// Nothing is known any more, or nobody wants to know: the neighbour can go unless it is held.
    static let forget = NeighbourActions(rawValue: 64)
}

/// A neighbour's state: events go in, what to do comes out.
///
///     none ── packet ──► incomplete ── answer ──► reachable ── 15 to 45 s ──► stale ── packet ──► delay
///                            │ 3 tries               ▲  ▲                                          │ 5 s
///                            ▼                       │  └──────────── answer ──────────── probe ◄──┘
///                          failed ── answer ─────────┘                                      │ 3 tries
///                            ▲─────────────────────────────────────────────────────────────┘
///
/// RFC 4861, sections 7.2 and 7.3; ARP is taken through the same states. A value: it reads no clock,
/// owns no packet and sends nothing.
struct NeighbourState: BitwiseCopyable, Equatable, Sendable {
    /// Where it stands.
    private(set) var phase = NeighbourPhase.none
    /// Its link-layer address, in a usable phase.
    private(set) var link = MACAddress(rawValue: 0)
    /// Whether it said that it is a router.
    private(set) var isRouter = false
    /// How often it was asked in this phase.
    private(set) var tries: UInt8 = 0
    /// When the phase ends, in milliseconds; 0 in a phase without end.
    private(set) var deadline: UInt64 = 0
    /// When it was last confirmed, in milliseconds; 0 is never.
    private(set) var confirmed: UInt64 = 0
    /// When its address last changed, in milliseconds.
    private(set) var changed: UInt64 = 0
    /// When a packet was last known to be sent to it, in milliseconds; 0 is never.
    private(set) var used: UInt64 = 0

    /// A neighbour of which nothing is known.
    init() {}

    /// A neighbour whose address is given by hand.
    init(permanent link: MACAddress) {
        self.link = link
        phase = .permanent
    }

    /// A neighbour that needs no resolution; frames to it go to a fixed address.
    init(noARP link: MACAddress) {
        self.link = link
        phase = .noARP
    }

    /// Whether it was asked and has not answered: an answer is then one that was asked for.
    var isAsked: Bool { phase == .incomplete || phase == .probe }

    /// Takes an event.
    ///
    /// - Parameters:
    ///   - event: What happened.
    ///   - now: When, in milliseconds of a clock that never goes back.
    ///   - timing: How long phases last.
    ///   - random: Where chance comes from.
    /// - Returns: What to do.
    mutating func handle(
        _ event: NeighbourEvent, now: UInt64, timing: NeighbourTiming,
        random: inout some RandomNumberGenerator
    ) -> NeighbourActions {
        switch event {
        case .packet:
            return takePacket(now, timing)
        case .answer(let answer):
            return takeAnswer(answer, now, timing, &random)
        case .confirmation:
            if [.reachable, .stale, .delay, .probe].contains(phase) {
                becomeReachable(now, timing, &random)
            }
            return []
        case .timer:
            return deadline != 0 && now >= deadline ? passDeadline(now, timing) : []
        case .portDown:
            guard phase != .permanent, phase != .noARP else { return [] }
            enter(.none, until: 0)
            return .forget
        }
    }

    /// Keeps a stale neighbour that is held for another while.
    mutating func keepStale(now: UInt64, timing: NeighbourTiming) {
        guard phase == .stale else { return }
        deadline = now + timing.stale
    }

    private mutating func takePacket(_ now: UInt64, _ timing: NeighbourTiming) -> NeighbourActions {
        used = now
        switch phase {
        case .failed where now < deadline:
            return .fail
        case .none, .failed:
            enter(.incomplete, until: now + timing.retransmit, tries: 1)
            return [.queue, .solicitGroup]
        case .incomplete:
            return .queue
        case .stale:
            enter(.delay, until: now + timing.delay)
            return .send
        case .reachable, .delay, .probe, .noARP, .permanent:
            return .send
        }
    }

    private mutating func takeAnswer(
        _ answer: NeighbourAnswer, _ now: UInt64, _ timing: NeighbourTiming,
        _ random: inout some RandomNumberGenerator
    ) -> NeighbourActions {
        switch phase {
        case .permanent, .noARP:
            return []
        case .none, .incomplete, .failed:
            // Without an address there is nothing to learn; override does not matter here.
            guard let new = answer.link else { return [] }
            link = new
            changed = now
            isRouter = answer.isRouter ?? false
            if answer.isSolicited && phase != .none {
                becomeReachable(now, timing, &random)
            } else {
                enter(.stale, until: now + timing.stale)
            }
            return .flush
        case .reachable, .stale, .delay, .probe:
            let isOther = answer.link.map { $0 != link } ?? false
            guard !isOther || answer.isOverride else {
                if phase == .reachable { enter(.stale, until: now + timing.stale) }
                return []
            }
            if isOther, let new = answer.link {
                link = new
                changed = now
            }
            isRouter = answer.isRouter ?? isRouter
            if answer.isSolicited {
                becomeReachable(now, timing, &random)
            } else if isOther {
                enter(.stale, until: now + timing.stale)
            }
            return []
        }
    }

    private mutating func passDeadline(
        _ now: UInt64, _ timing: NeighbourTiming
    ) -> NeighbourActions {
        switch phase {
        case .incomplete where tries < timing.groupSolicitations:
            enter(.incomplete, until: now + timing.retransmit, tries: tries + 1)
            return .solicitGroup
        case .probe where tries < timing.stationSolicitations:
            enter(.probe, until: now + timing.retransmit, tries: tries + 1)
            return .solicitStation
        case .incomplete, .probe:
            enter(.failed, until: now + timing.failure)
            return .fail
        case .reachable:
            if used != 0 && now - used <= timing.delay {
                enter(.delay, until: now + timing.delay)
            } else {
                enter(.stale, until: now + timing.stale)
            }
            return []
        case .delay:
            enter(.probe, until: now + timing.retransmit, tries: 1)
            return .solicitStation
        case .stale:
            return .forget
        case .failed:
            enter(.none, until: 0)
            return .forget
        case .none, .noARP, .permanent:
            return []
        }
    }

    private mutating func becomeReachable(
        _ now: UInt64, _ timing: NeighbourTiming, _ random: inout some RandomNumberGenerator
    ) {
        confirmed = now
        let half = timing.reachable / 2
        enter(.reachable, until: now + half + UInt64.random(in: 0...half * 2, using: &random))
    }

    private mutating func enter(_ next: NeighbourPhase, until end: UInt64, tries count: UInt8 = 0) {
        phase = next
        deadline = end
        tries = count
    }
}
