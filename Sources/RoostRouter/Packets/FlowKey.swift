internal import RoostMemory

/// What the packets of a flow have in common, for choosing among equal paths and for logs.
///
/// The fragments of a packet, the first one too, have no ports, so that all take the same path.
struct FlowKey: BitwiseCopyable, Hashable, Sendable {
    /// The source's halves, see ``NetworkAddress/halves``.
    let sourceHigh, sourceLow: UInt64
    /// The destination's halves.
    let destinationHigh, destinationLow: UInt64
    /// The source's port in the upper half, the destination's in the lower one; 0 without ports.
    let ports: UInt32
    /// What the packet carries: a number of ``IPProtocol``; 0 when IPv6 headers cannot be walked.
    let protocolNumber: UInt8
    /// Of which family the addresses are.
    let family: AddressFamily

    /// The flow of an IPv4 packet.
    @inline(__always)  // Once a packet where there are equal paths.
    init(_ frame: RawSpan, _ header: IPv4Header) {
        (sourceHigh, sourceLow) = header.source.halves
        (destinationHigh, destinationLow) = header.destination.halves
        protocolNumber = header.protocolNumber
        family = .ipv4
        ports =
            header.isFragment
            ? 0
            : TransportPorts(
                frame, protocolNumber: header.protocolNumber, from: header.payloadOffset,
                to: header.end)?.rawValue ?? 0
    }

    /// The flow of an IPv6 packet.
    @inline(__always)  // Once a packet where there are equal paths.
    init(_ frame: RawSpan, _ header: IPv6Header) {
        (sourceHigh, sourceLow) = header.source.halves
        (destinationHigh, destinationLow) = header.destination.halves
        family = .ipv6
        (protocolNumber, ports) = Self.upperFlow(frame, header)
    }

    private static func upperFlow(_ frame: RawSpan, _ header: IPv6Header) -> (UInt8, UInt32) {
        if let ports = TransportPorts(
            frame, protocolNumber: header.nextHeader, from: header.payloadOffset, to: header.end)
        {
            return (header.nextHeader, ports.rawValue)
        }
        guard let upper = try? IPv6UpperLayer(frame, header) else { return (0, 0) }
        guard !upper.isFragment else { return (upper.protocolNumber, 0) }
        let ports = TransportPorts(
            frame, protocolNumber: upper.protocolNumber, from: upper.offset, to: upper.end)
        return (upper.protocolNumber, ports?.rawValue ?? 0)
    }
}
