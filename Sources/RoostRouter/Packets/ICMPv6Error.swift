internal import RoostMemory

/// An error that the router reports about an IPv6 packet (RFC 4443, section 3).
struct ICMPv6Error: BitwiseCopyable, Equatable, Sendable {
    /// The most bytes a message has from its IP header on: the least MTU (RFC 4443, section 2.4).
    static let maximumByteCount = 1280

    /// What it says.
    let type: UInt8
    /// What it says in detail.
    let code: UInt8
    /// The second word.
    let rest: UInt32

    private static func unreachable(_ code: UInt8) -> ICMPv6Error {
        ICMPv6Error(type: ICMPMessage.Kind6.destinationUnreachable, code: code, rest: 0)
    }

    /// There is no route.
    static var noRoute: ICMPv6Error { unreachable(0) }
    /// A route forbids it.
    static var administrativelyProhibited: ICMPv6Error { unreachable(1) }
    /// The source is not valid where it would go.
    static var beyondScope: ICMPv6Error { unreachable(2) }
    /// The next hop does not resolve.
    static var addressUnreachable: ICMPv6Error { unreachable(3) }
    /// The router's own address, and nothing that takes the port.
    static var portUnreachable: ICMPv6Error { unreachable(4) }
    /// The source may not come this way.
    static var sourceFailedPolicy: ICMPv6Error { unreachable(5) }
    /// A route rejects it.
    static var rejectRoute: ICMPv6Error { unreachable(6) }

    /// It is larger than the next link takes.
    static func packetTooBig(mtu: Int) -> ICMPv6Error {
        ICMPv6Error(
            type: ICMPMessage.Kind6.packetTooBig, code: 0, rest: UInt32(clamping: mtu))
    }

    /// Its hop limit is over.
    static var hopLimitExceeded: ICMPv6Error {
        ICMPv6Error(type: ICMPMessage.Kind6.timeExceeded, code: 0, rest: 0)
    }

    /// What a Parameter Problem is about.
    enum Problem: UInt8, Sendable {
        /// A field has a value that it cannot have.
        case erroneousField = 0
        /// A next header is not known.
        case unrecognizedNextHeader = 1
        /// An option is not known, whose type asks for this message.
        case unrecognizedOption = 2
    }

    /// A byte of the packet is wrong; the pointer is its place from the IP header on.
    static func parameterProblem(_ problem: Problem, pointer: Int) -> ICMPv6Error {
        ICMPv6Error(
            type: ICMPMessage.Kind6.parameterProblem, code: problem.rawValue,
            rest: UInt32(clamping: pointer))
    }

    /// Writes the message about a packet, with as much of it as fits.
    ///
    /// - Parameters:
    ///   - frame: The frame that the packet's header was read from.
    ///   - header: The packet's header; the message goes to its source.
    ///   - source: The router's address that it is from.
    ///   - output: Room for ``maximumByteCount`` from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on, 88 to 1280.
    func write(
        about frame: RawSpan, _ header: IPv6Header, from source: IPv6Address,
        into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let message = start + IPv6Header.byteCount
        let quote = message + ICMPMessage.headerByteCount
        let quoted = min(header.end - header.offset, Self.maximumByteCount - (quote - start))
        let count = ICMPMessage.headerByteCount + quoted
        IPv6Header.write(
            source: source, destination: header.source, nextHeader: IPProtocol.icmpv6,
            payloadByteCount: count, hopLimit: IPv6Header.defaultHopLimit, into: &output, at: start)
        output.storeBigEndian(UInt32(type) << 24 | UInt32(code) << 16, at: message)
        output.storeBigEndian(rest, at: message + 4)
        output.replaceBytes(
            at: quote, with: frame.extracting(header.offset..<header.offset + quoted))
        ICMPMessage.finishChecksum(
            &output, at: message, byteCount: count, from: source, to: header.source)
        return IPv6Header.byteCount + count
    }
}
