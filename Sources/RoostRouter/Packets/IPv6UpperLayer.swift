internal import RoostMemory

/// What an IPv6 packet carries behind its extension headers (RFC 8200, section 4).
struct IPv6UpperLayer: BitwiseCopyable, Equatable, Sendable {
    /// How many extension headers are walked: each may come once, destination options twice
    /// (RFC 8200, section 4.1), and authentication.
    static let headerLimit = 8
    /// How many hop-by-hop options are walked (RFC 8504, section 5.3, advises 8).
    static let optionLimit = 8

    /// What it is: a number of ``IPProtocol``; of a fragment other than the first, what the whole
    /// packet's fragmentable part begins with.
    private(set) var protocolNumber: UInt8
    /// Where it begins in the frame.
    private(set) var offset: Int
    /// Where the packet ends in the frame.
    let end: Int
    /// Where in the packet's header chain ``protocolNumber`` stands, counted from the packet's start:
    /// the pointer of a Parameter Problem about it.
    private(set) var pointer = 6
    /// Whether it is a part of a packet.
    private(set) var isFragment = false
    /// Where its part begins in the whole packet's: 0 to 65,528.
    private(set) var fragmentByteOffset = 0
    /// Whether it is a fragment other than the last.
    private(set) var moreFragments = false
    /// What the fragments of a packet have in common.
    private(set) var identification: UInt32 = 0
    /// Whether hop-by-hop options come first.
    private(set) var hasHopByHop = false
    /// Whether routers are asked to look at the packet itself (RFC 2711).
    private(set) var hasRouterAlert = false
    /// Whether the sender chose nodes to pass, some of which are left.
    private(set) var hasSourceRoute = false

    /// How many bytes it has.
    var byteCount: Int { end &- offset }

    /// Walks the headers of a packet.
    ///
    /// - Parameters:
    ///   - frame: The frame that the header was read from.
    ///   - header: The packet's header.
    /// - Throws: `PacketError` `truncated`, `extensionLimit`, `extensionOrder`, `optionLength` or
    ///   `optionLimit`.
    init(_ frame: RawSpan, _ header: IPv6Header) throws(PacketError) {
        protocolNumber = header.nextHeader
        offset = header.payloadOffset
        end = header.end
        var left = Self.headerLimit
        while let length = try extensionByteCount(in: frame) {
            guard left > 0 else { throw .extensionLimit }
            left -= 1
            let kind = protocolNumber
            let start = offset
            guard start + length <= end else { throw .truncated }
            switch kind {
            case IPProtocol.hopByHop:
                guard left == Self.headerLimit - 1 else { throw .extensionOrder }
                hasHopByHop = true
                try readOptions(frame, from: start + 2, to: start + length)
            case IPProtocol.routing:
                hasSourceRoute = frame.loadBigEndian(at: start + 3, as: UInt8.self) > 0
            case IPProtocol.fragment:
                readFragment(frame)
            default: break
            }
            pointer = start - header.offset
            protocolNumber = frame.loadBigEndian(at: start, as: UInt8.self)
            offset = start + length
            guard fragmentByteOffset == 0 else { return }
        }
    }

    /// The length of the extension header here; nil when this is the upper layer.
    private func extensionByteCount(in frame: RawSpan) throws(PacketError) -> Int? {
        switch protocolNumber {
        case IPProtocol.hopByHop, IPProtocol.routing, IPProtocol.fragment,
            IPProtocol.authentication, IPProtocol.destinationOptions:
            guard offset + 8 <= end else { throw .truncated }
        default: return nil
        }
        let length = Int(frame.loadBigEndian(at: offset + 1, as: UInt8.self))
        return switch protocolNumber {
        case IPProtocol.fragment: 8
        case IPProtocol.authentication: max((length + 2) * 4, 8)
        default: (length + 1) * 8
        }
    }

    private mutating func readFragment(_ frame: RawSpan) {
        let word = Int(frame.loadBigEndian(at: offset + 2, as: UInt16.self))
        fragmentByteOffset = word & 0xFFF8
        moreFragments = word & 1 != 0
        // One that is whole all the same is no part of anything (RFC 6946).
        isFragment = fragmentByteOffset != 0 || moreFragments
        identification = frame.loadBigEndian(at: offset + 4, as: UInt32.self)
    }

    private mutating func readOptions(
        _ frame: RawSpan, from start: Int, to end: Int
    ) throws(PacketError) {
        var position = start
        var left = Self.optionLimit
        while position < end {
            let kind = frame.loadBigEndian(at: position, as: UInt8.self)
            guard kind != 0 else {  // Pad1
                position += 1
                continue
            }
            guard position + 2 <= end else { throw .optionLength }
            let length = Int(frame.loadBigEndian(at: position + 1, as: UInt8.self))
            guard position + 2 + length <= end else { throw .optionLength }
            guard left > 0 else { throw .optionLimit }
            left -= 1
            if kind == 5 && length == 2 { hasRouterAlert = true }  // RFC 2711, section 2.1
            position += 2 + length
        }
    }
}
