internal import RoostMemory

/// An error that the router reports about an IPv4 packet (RFC 792, RFC 1191, RFC 1812).
struct ICMPError: BitwiseCopyable, Equatable, Sendable {
    /// The most bytes a message has from its IP header on (RFC 1812, section 4.3.2.3).
    static let maximumByteCount = 576
    /// Internetwork control, the precedence of errors (RFC 1812, section 4.3.2.5).
    static let precedence: UInt8 = 0xC0
    /// The bits of the offending packet's type of service that its error keeps (the same section).
    static let keptServiceBits: UInt8 = 0x1E

    /// What it says.
    let type: UInt8
    /// What it says in detail.
    let code: UInt8
    /// The second word.
    let rest: UInt32

    private static func unreachable(_ code: UInt8, rest: UInt32 = 0) -> ICMPError {
        ICMPError(type: ICMPMessage.Kind.destinationUnreachable, code: code, rest: rest)
    }

    /// There is no route.
    static var networkUnreachable: ICMPError { unreachable(0) }
    /// The next hop does not resolve.
    static var hostUnreachable: ICMPError { unreachable(1) }
    /// The router's own address, and nothing that takes the protocol.
    static var protocolUnreachable: ICMPError { unreachable(2) }
    /// The router's own address, and nothing that takes the port.
    static var portUnreachable: ICMPError { unreachable(3) }
    /// The sender chose a router that it cannot go to.
    static var sourceRouteFailed: ICMPError { unreachable(5) }
    /// A route forbids it.
    static var administrativelyProhibited: ICMPError { unreachable(13) }

    /// It is larger than the next link takes, and must not be fragmented (RFC 1191, section 4).
    static func fragmentationNeeded(mtu: Int) -> ICMPError {
        unreachable(4, rest: UInt32(UInt16(clamping: mtu)))
    }

    /// Its time to live is over.
    static var timeExceeded: ICMPError {
        ICMPError(type: ICMPMessage.Kind.timeExceeded, code: 0, rest: 0)
    }

    /// A byte of the header is wrong; the pointer is its place.
    static func parameterProblem(pointer: UInt8) -> ICMPError {
        ICMPError(
            type: ICMPMessage.Kind.parameterProblem, code: 0, rest: UInt32(pointer) << 24)
    }

    /// Another router on the sender's link is nearer to this host; not an error, but sent like one.
    static func redirectHost(to gateway: IPv4Address) -> ICMPError {
        ICMPError(type: ICMPMessage.Kind.redirect, code: 1, rest: gateway.rawValue)
    }

    /// Writes the message about a packet, with as much of it as fits.
    ///
    /// - Parameters:
    ///   - frame: The frame that the packet's header was read from.
    ///   - header: The packet's header; the message goes to its source.
    ///   - source: The router's address that it is from.
    ///   - identification: What fragments of the message would have in common.
    ///   - output: Room for ``maximumByteCount`` from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on, 48 to 576.
    func write(
        about frame: RawSpan, _ header: IPv4Header, from source: IPv4Address,
        identification: UInt16, into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let message = start + IPv4Header.minimumByteCount
        let quote = message + ICMPMessage.headerByteCount
        let quoted = min(header.end - header.offset, Self.maximumByteCount - (quote - start))
        let count = ICMPMessage.headerByteCount + quoted
        IPv4Header.write(
            source: source, destination: header.source, protocolNumber: IPProtocol.icmp,
            typeOfService: Self.precedence | header.typeOfService & Self.keptServiceBits,
            totalByteCount: IPv4Header.minimumByteCount + count, identification: identification,
            into: &output, at: start)
        output.storeBigEndian(UInt32(type) << 24 | UInt32(code) << 16, at: message)
        output.storeBigEndian(rest, at: message + 4)
        output.replaceBytes(
            at: quote, with: frame.extracting(header.offset..<header.offset + quoted))
        ICMPMessage.finishChecksum(&output, at: message, byteCount: count)
        return IPv4Header.minimumByteCount + count
    }
}
