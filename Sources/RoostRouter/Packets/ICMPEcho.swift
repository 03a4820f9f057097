internal import RoostMemory

/// Answers to echo requests (RFC 792; RFC 4443, section 4.2).
extension ICMPMessage {
    /// Writes the answer to an echo request over IPv4: its data as they are, without IP options.
    ///
    /// - Parameters:
    ///   - frame: The frame that the message was read from.
    ///   - header: The request's header.
    ///   - source: Whom the answer is from: the address asked, or one of the router's for a group.
    ///   - identification: What the fragments of the answer will have in common.
    ///   - output: Room for 20 bytes and the message from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The answer's length from its IP header on.
    func writeEchoReply(
        _ frame: RawSpan, _ header: IPv4Header, from source: IPv4Address, identification: UInt16,
        into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let count = end - offset
        IPv4Header.write(
            source: source, destination: header.source, protocolNumber: IPProtocol.icmp,
            typeOfService: header.typeOfService,
            totalByteCount: IPv4Header.minimumByteCount + count, identification: identification,
            into: &output, at: start)
        let message = start + IPv4Header.minimumByteCount
        output.replaceBytes(at: message, with: frame.extracting(offset..<end))
        output.storeBigEndian(UInt32(Kind.echoReply) << 24, at: message)
        Self.finishChecksum(&output, at: message, byteCount: count)
        return IPv4Header.minimumByteCount + count
    }

    /// Writes the answer to an echo request over IPv6.
    ///
    /// - Parameters:
    ///   - frame: The frame that the message was read from.
    ///   - header: The request's header.
    ///   - source: Whom the answer is from: the address asked, or one of the router's for a group.
    ///   - output: Room for 40 bytes and the message from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The answer's length from its IP header on.
    func writeEchoReply(
        _ frame: RawSpan, _ header: IPv6Header, from source: IPv6Address,
        into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let count = end - offset
        IPv6Header.write(
            source: source, destination: header.source, nextHeader: IPProtocol.icmpv6,
            payloadByteCount: count, hopLimit: IPv6Header.defaultHopLimit, into: &output, at: start)
        let message = start + IPv6Header.byteCount
        output.replaceBytes(at: message, with: frame.extracting(offset..<end))
        output.storeBigEndian(UInt32(Kind6.echoReply) << 24, at: message)
        Self.finishChecksum(
            &output, at: message, byteCount: count, from: source, to: header.source)
        return IPv6Header.byteCount + count
    }

    /// Computes the checksum of a message over IPv4, whose field is 0, and puts it in.
    static func finishChecksum(_ output: inout MutableRawSpan, at offset: Int, byteCount: Int) {
        let sum = output.bytes.extracting(offset..<offset + byteCount).onesComplementSum
        output.storeBigEndian(~sum, at: offset + 2)
    }

    /// Computes the checksum of a message over IPv6, whose field is 0, and puts it in.
    static func finishChecksum(
        _ output: inout MutableRawSpan, at offset: Int, byteCount: Int, from source: IPv6Address,
        to destination: IPv6Address
    ) {
        var checksum = InternetChecksum()
        checksum.addPseudoHeader(
            source, destination, protocolNumber: IPProtocol.icmpv6, byteCount: byteCount)
        checksum.add(output.bytes.extracting(offset..<offset + byteCount))
        output.storeBigEndian(checksum.value, at: offset + 2)
    }
}
