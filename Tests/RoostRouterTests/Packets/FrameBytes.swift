import RoostMemory
import Testing

@testable import RoostRouter

/// A frame's headers, read as far as they go.
struct ParsedFrame {
    var link: EthernetHeader
    var arp: ARPPacket?
    var ipv4: IPv4Header?
    var ipv6: IPv6Header?
    var upper: IPv6UpperLayer?
    var icmp: ICMPMessage?
    var neighbour: NeighbourMessage?

    /// Reads a frame; whatever is not there is nil, whatever is there must be right.
    init(_ bytes: [UInt8]) throws {
        let frame = unsafe bytes.span.bytes
        link = try EthernetHeader(frame)
        switch link.etherType {
        case EtherType.arp: arp = try ARPPacket(frame, at: link.payloadOffset)
        case EtherType.ipv4:
            let header = try IPv4Header(frame, at: link.payloadOffset)
            ipv4 = header
            if header.protocolNumber == IPProtocol.icmp, !header.isFragment {
                icmp = try ICMPMessage(frame, header)
            }
        case EtherType.ipv6:
            let header = try IPv6Header(frame, at: link.payloadOffset)
            let upper = try IPv6UpperLayer(frame, header)
            ipv6 = header
            self.upper = upper
            if upper.protocolNumber == IPProtocol.icmpv6, !upper.isFragment {
                let message = try ICMPMessage(frame, header, upper)
                icmp = message
                if NeighbourMessage.Kind(rawValue: message.type) != nil {
                    neighbour = try NeighbourMessage(frame, header, upper)
                }
            }
        default: break
        }
    }
}

/// What a function writes into a room of its own behind an Ethernet header.
///
/// - Parameters:
///   - link: The header of the frame that is answered: its ends change places.
///   - write: Writes at an offset and says how many bytes.
/// - Returns: The frame.
func answerFrame(
    to link: EthernetHeader, _ write: (inout MutableRawSpan, Int) -> Int
) -> [UInt8] {
    var room = [UInt8](repeating: 0xA5, count: 70_000)
    var count = 0
    do {
        var span = room.mutableSpan
        var output = unsafe span.mutableBytes
        EthernetHeader.write(
            destination: link.source, source: link.destination, etherType: link.etherType,
            into: &output)
        count = EthernetHeader.byteCount + write(&output, EthernetHeader.byteCount)
    }
    return Array(room[..<count])
}

extension [UInt8] {
    /// Lets a function change the bytes as a span.
    mutating func withSpan(_ change: (inout MutableRawSpan) -> Void) {
        var span = mutableSpan
        var bytes = unsafe span.mutableBytes
        change(&bytes)
    }

    /// What a packet path's reader says of the bytes: nil when it takes them.
    func failure(_ read: (RawSpan) throws(PacketError) -> Void) -> PacketError? {
        let frame = unsafe span.bytes
        do throws(PacketError) {
            try read(frame)
            return nil
        } catch {
            return error
        }
    }
}
