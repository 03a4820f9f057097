internal import RoostMemory

/// What libFuzzer and a seeded test give bytes to: a frame, read in every way and answered.
@_spi(Fuzzing)
public enum PacketFuzzing {
    /// Reads a frame and builds what a router might send about it; traps if what was read lies
    /// outside, or what was built does not read back.
    ///
    /// Changed bytes hardly ever have right checksums, so the frame is read once more with its own
    /// made right.
    ///
    /// - Parameter bytes: A frame; any bytes.
    public static func check(_ bytes: [UInt8]) {
        read(bytes)
        read(repaired(bytes))
    }

    private static func repaired(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var span = bytes.mutableSpan
        var frame = unsafe span.mutableBytes
        guard let link = try? EthernetHeader(frame.bytes) else { return bytes }
        let offset = link.payloadOffset
        if let header = try? IPv4Header(quotedIn: frame.bytes, at: offset) {
            IPv4Header.finishChecksum(
                &frame, at: offset, headerByteCount: header.headerByteCount)
            if header.protocolNumber == IPProtocol.icmp, header.payloadByteCount >= 8 {
                frame.storeBigEndian(UInt16(0), at: header.payloadOffset + 2)
                ICMPMessage.finishChecksum(
                    &frame, at: header.payloadOffset, byteCount: header.payloadByteCount)
            }
        }
        if let header = try? IPv6Header(frame.bytes, at: offset),
            let upper = try? IPv6UpperLayer(frame.bytes, header),
            upper.protocolNumber == IPProtocol.icmpv6, upper.byteCount >= 8
        {
            frame.storeBigEndian(UInt16(0), at: upper.offset + 2)
            ICMPMessage.finishChecksum(
                &frame, at: upper.offset, byteCount: upper.byteCount, from: header.source,
                to: header.destination)
        }
        return bytes
    }

    private static func read(_ bytes: [UInt8]) {
        let frame = unsafe bytes.span.bytes
        let line = PacketSummary(frame, showsLink: true).description
        precondition(!line.isEmpty)
        guard let link = try? EthernetHeader(frame) else { return }
        precondition(link.payloadOffset <= frame.byteCount)
        var room = [UInt8](repeating: 0, count: max(bytes.count + 64, 2048))
        if let packet = try? ARPPacket(frame, at: link.payloadOffset) {
            check(packet, link, into: &room)
        }
        if let header = try? IPv4Header(frame, at: link.payloadOffset) {
            check(frame, header, into: &room)
        }
        if let header = try? IPv6Header(frame, at: link.payloadOffset) {
            check(frame, header, into: &room)
        }
        // An error quotes packets at any place.
        for offset in stride(from: -1, to: min(frame.byteCount + 2, 128), by: 1) {
            if let header = try? IPv4Header(quotedIn: frame, at: offset) {
                precondition(header.payloadByteCount >= 0 && header.end <= frame.byteCount)
                _ = FlowKey(frame, header)
            }
            if let header = try? IPv6Header(quotedIn: frame, at: offset) {
                precondition(header.end >= header.payloadOffset && header.end <= frame.byteCount)
                _ = FlowKey(frame, header)
            }
        }
    }

    private static func check(
        _ packet: ARPPacket, _ link: EthernetHeader, into room: inout [UInt8]
    ) {
        var span = room.mutableSpan
        var output = unsafe span.mutableBytes
        let reply = packet.reply(hardware: link.destination)
        precondition(reply.writeFrame(to: link.source, into: &output) == 42)
        let written = try? ARPPacket(output.bytes, at: EthernetHeader.byteCount)
        precondition(written == reply)
    }

    private static func check(
        _ frame: RawSpan, _ header: IPv4Header, into room: inout [UInt8]
    ) {
        precondition(header.end <= frame.byteCount && header.payloadByteCount >= 0)
        _ = FlowKey(frame, header)
        _ = IPv4Options(frame, header)
        _ = try? ICMPMessage(frame, header)
        _ = ICMPErrorPolicy.permits(about: frame, header, isLinkGroup: false, isBroadcast: false)

        var span = room.mutableSpan
        var output = unsafe span.mutableBytes
        output.replaceBytes(at: 0, with: frame)
        if header.timeToLive > 0 {
            IPv4Header.decrementTimeToLive(&output, at: header.offset)
            let forwarded = try? IPv4Header(output.bytes, at: header.offset)
            precondition(forwarded?.timeToLive == header.timeToLive - 1)
        }
        let count = ICMPError.fragmentationNeeded(mtu: 576).write(
            about: frame, header, from: header.destination, identification: 1, into: &output, at: 0)
        let error = try? IPv4Header(output.bytes, at: 0)
        precondition(count <= ICMPError.maximumByteCount && error?.totalByteCount == count)
        fragment(frame, header, into: &output)
    }

    private static func fragment(
        _ frame: RawSpan, _ header: IPv4Header, into output: inout MutableRawSpan
    ) {
        let mtu = max(68, (frame.byteCount - header.offset) / 3)
        guard var fragmenter = IPv4Fragmenter(header, mtu: mtu) else { return }
        var position = header.fragmentByteOffset
        while let count = fragmenter.next(from: frame, into: &output, at: 0) {
            precondition(count <= mtu)
            let piece = try? IPv4Header(output.bytes, at: 0)
            precondition(piece?.fragmentByteOffset == position && piece?.end == count)
            position += piece?.payloadByteCount ?? 0
        }
        precondition(position - header.fragmentByteOffset == header.payloadByteCount)
    }

    private static func check(
        _ frame: RawSpan, _ header: IPv6Header, into room: inout [UInt8]
    ) {
        precondition(header.end <= frame.byteCount)
        _ = FlowKey(frame, header)
        let error = ICMPv6Error.packetTooBig(mtu: 1280)
        _ = ICMPErrorPolicy.permits(error, about: frame, header, isLinkGroup: false)
        var span = room.mutableSpan
        var output = unsafe span.mutableBytes
        let count = error.write(
            about: frame, header, from: header.destination, into: &output, at: 0)
        let isRight = isWhole(output.bytes, byteCount: count)
        precondition(count <= ICMPv6Error.maximumByteCount && isRight)
        let redirect = NeighbourMessage.writeRedirect(
            about: frame, header, to: header.destination, targetLink: nil, from: .loopback,
            into: &output, at: 0)
        let isRedirectRight = isWhole(output.bytes, byteCount: redirect)
        precondition(isRedirectRight)
        guard let upper = try? IPv6UpperLayer(frame, header) else { return }
        precondition(upper.offset <= upper.end && upper.end == header.end)
        guard let message = try? ICMPMessage(frame, header, upper) else { return }
        _ = try? NeighbourMessage(frame, header, upper)
        _ = message.writeEchoReply(frame, header, from: header.destination, into: &output, at: 0)
    }

    /// Whether a packet that we built is one, and its message too.
    private static func isWhole(_ packet: RawSpan, byteCount: Int) -> Bool {
        guard let header = try? IPv6Header(packet, at: 0), header.end == byteCount,
            let upper = try? IPv6UpperLayer(packet, header)
        else { return false }
        return (try? ICMPMessage(packet, header, upper)) != nil
    }
}
