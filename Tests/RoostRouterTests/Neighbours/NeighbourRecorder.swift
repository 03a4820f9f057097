@testable import RoostMemory
@testable import RoostRouter

/// Writes down what a table of neighbours asks for.
struct NeighbourRecorder: NeighbourSink, ~Copyable {
    /// One thing that was asked for.
    enum Entry: Equatable {
        case solicit(NeighbourKey, MACAddress?)
        case transmit([UInt8], UInt64, NeighbourKey, MACAddress)
        case unreachable([UInt8], UInt64, NeighbourKey)
        case dropped(UInt64, NeighbourDrop)
    }

    private(set) var entries: [Entry] = []

    mutating func solicit(_ key: NeighbourKey, to link: MACAddress?) {
        entries.append(.solicit(key, link))
    }

    mutating func transmit(
        _ frame: RawSpan, context: UInt64, to key: NeighbourKey, link: MACAddress
    ) {
        entries.append(.transmit([UInt8](frame), context, key, link))
    }

    mutating func unreachable(_ frame: RawSpan, context: UInt64, to key: NeighbourKey) {
        entries.append(.unreachable([UInt8](frame), context, key))
    }

    mutating func dropped(_ context: UInt64, reason: NeighbourDrop) {
        entries.append(.dropped(context, reason))
    }

    /// What was asked for since the last time.
    mutating func take() -> [Entry] {
        defer { entries = [] }
        return entries
    }
}

/// A table of neighbours with two ports in two namespaces, a clock and a recorder.
struct NeighbourBench: ~Copyable {
    static let port = PortIndex(rawValue: 1)
    static let other = PortIndex(rawValue: 2)
    static let loopback = PortIndex(rawValue: 8)
    static let otherLoopback = PortIndex(rawValue: 9)
    static let namespace = NamespaceIndex(rawValue: 1)
    static let otherNamespace = NamespaceIndex(rawValue: 2)

    let quiescence: Quiescence
    var table: NeighbourTable
    var sink = NeighbourRecorder()
    var now: UInt64 = 1_000_000

    init(
        limits: NeighbourLimits = small, quota: NeighbourQuota = NeighbourQuota()
    ) throws {
        let quiescence = try Quiescence(readerLimit: 4)
        var table = try NeighbourTable(
            limits: limits, random: KeyedRandom(key: SipHashKey(low: 1, high: 2)),
            quiescence: quiescence)
        try table.setQuota(quota, of: Self.namespace)
        try table.setQuota(quota, of: Self.otherNamespace)
        table.addPort(Self.port, namespace: Self.namespace, loopback: Self.loopback)
        table.addPort(Self.other, namespace: Self.otherNamespace, loopback: Self.otherLoopback)
        self.quiescence = quiescence
        self.table = table
    }

    /// Limits that a test can reach.
    static var small: NeighbourLimits {
        var limits = NeighbourLimits()
        limits.entries = 4_096
        limits.frames = 1_024
        limits.frameByteCount = 128
        return limits
    }

    /// A neighbour of a port by number.
    static func key(_ number: Int, port: PortIndex = NeighbourBench.port) -> NeighbourKey {
        NeighbourKey(port, IPv4Address(rawValue: 0x0A00_0000 + UInt32(number)))
    }

    /// A station's address by number.
    static func link(_ number: Int) -> MACAddress {
        MACAddress(rawValue: 0x0200_0000_0000 + UInt64(number))
    }

    /// Sends a frame of one byte.
    mutating func send(_ key: NeighbourKey, _ byte: UInt8, context: UInt64 = 0)
        -> NeighbourSendOutcome
    {
        let frame = [byte]
        // SAFETY: any bytes are bytes.
        return table.send(
            unsafe frame.span.bytes, to: key, context: context, now: now, &sink)
    }

    /// Lets a neighbour answer what it was asked.
    mutating func answer(_ key: NeighbourKey, _ link: MACAddress) {
        table.answered(
            key,
            by: NeighbourAnswer(link: link, isSolicited: true, isOverride: true, isRouter: nil),
            now: now, &sink)
    }

    /// Makes a neighbour reachable, and forgets what was asked for.
    mutating func resolve(_ key: NeighbourKey, _ link: MACAddress) {
        _ = send(key, 0)
        answer(key, link)
        _ = sink.take()
    }

    /// Lets time go by in steps of 100 ms.
    mutating func advance(milliseconds: UInt64) {
        let end = now + milliseconds
        while now < end {
            now = min(now + 100, end)
            while table.tick(now: now, &sink) {}
        }
    }

    /// Where a neighbour stands.
    func phase(_ key: NeighbourKey) -> NeighbourPhase {
        table.state(of: table.view.find(key)).phase
    }

    /// What workers see of a neighbour.
    func word(_ key: NeighbourKey) -> NeighbourWord {
        table.view.word(table.view.find(key))
    }

    /// What was asked for since the last time.
    mutating func taken() -> [NeighbourRecorder.Entry] { sink.take() }
}
