/// Why a packet to a neighbour was dropped.
enum NeighbourDrop: UInt8, CaseIterable, Sendable {
    /// As many packets wait for the neighbour as may: the oldest made room.
    case queueFull
    /// As many packets wait in the namespace, or in all, as may.
    case frameLimit
    /// The packet is longer than any that waits may be.
    case tooLong
    /// The namespace, the port or the table has as many neighbours as it may, all in use.
    case entryLimit
    /// As many neighbours are being asked for as may be.
    case unresolvedLimit
    /// The neighbour's port went down or away.
    case portDown
    /// The neighbour was taken out by hand.
    case removed

    /// The name in reports.
    var name: String {
        switch self {
        case .queueFull: "neighbour-queue-full"
        case .frameLimit: "neighbour-frame-limit"
        case .tooLong: "neighbour-frame-too-long"
        case .entryLimit: "neighbour-entry-limit"
        case .unresolvedLimit: "neighbour-unresolved-limit"
        case .portDown: "neighbour-port-down"
        case .removed: "neighbour-removed"
        }
    }
}

/// Where it goes what follows from an event at a neighbour.
///
/// The processor's builds frames; a test's writes down what it is told. Of each packet that was given to
/// a table, exactly one of ``transmit(_:context:to:link:)``, ``unreachable(_:context:to:)`` and
/// ``dropped(_:reason:)`` is called, at once or later: its context is let go there.
protocol NeighbourSink: ~Copyable {
    /// Asks for a neighbour.
    ///
    /// - Parameters:
    ///   - key: Which one, and behind which port.
    ///   - link: The neighbour's own address, which is known; nil asks everyone (ARP) or the
    ///     solicited-node group (RFC 4861, section 7.2.2).
    mutating func solicit(_ key: NeighbourKey, to link: MACAddress?)

    /// Sends a packet that waited; those of a neighbour come in their order.
    ///
    /// - Parameters:
    ///   - frame: The frame as it was given; its Ethernet header is to be written.
    ///   - context: What was given with it.
    ///   - key: Whom it is for.
    ///   - link: The neighbour's address.
    mutating func transmit(
        _ frame: RawSpan, context: UInt64, to key: NeighbourKey, link: MACAddress)

    /// Reports a packet as undeliverable: the host or address is unreachable.
    mutating func unreachable(_ frame: RawSpan, context: UInt64, to key: NeighbourKey)

    /// Lets a packet go without a report.
    mutating func dropped(_ context: UInt64, reason: NeighbourDrop)
}
