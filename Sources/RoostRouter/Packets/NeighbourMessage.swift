internal import RoostMemory

/// A message of neighbour discovery, checked as RFC 4861 asks (sections 6.1, 7.1 and 8.1): hop limit
/// 255, so that no router passed it on; code 0; checksum; addresses; options with a length.
///
///     type 8 · code 8 · checksum 16 · flags or lifetime 32
///     target 128 (solicitation, advertisement, redirect) · destination 128 (redirect) · options
struct NeighbourMessage: BitwiseCopyable, Equatable, Sendable {
    /// What it is for.
    enum Kind: UInt8, Sendable {
        /// Are there routers?
        case routerSolicitation = 133
        /// Here is a router.
        case routerAdvertisement = 134
        /// Who has the target?
        case solicitation = 135
        /// The sender has the target.
        case advertisement = 136
        /// The target is a better first hop.
        case redirect = 137

        /// How many bytes come before the options.
        var byteCount: Int {
            switch self {
            case .routerSolicitation: 8
            case .routerAdvertisement: 16
            case .solicitation, .advertisement: 24
            case .redirect: 40
            }
        }
    }

    /// Types of options.
    enum Option {
        static let sourceLinkAddress: UInt8 = 1
        static let targetLinkAddress: UInt8 = 2
        static let prefixInformation: UInt8 = 3
        static let redirectedHeader: UInt8 = 4
        static let mtu: UInt8 = 5
    }

    /// How many options are walked; routers send a handful.
    static let optionLimit = 32

    /// What it is for.
    let kind: Kind
    /// Who sent it; :: from one that is still to have an address.
    let source: IPv6Address
    /// Whom it is for.
    let destination: IPv6Address
    /// The second word: flags of an advertisement; hop limit, flags and lifetime of a router's.
    let flags: UInt32
    /// The address asked for or answered about; :: in messages of routers.
    let target: IPv6Address
    /// The address that a redirect is about; :: in others.
    let redirected: IPv6Address
    /// The sender's link-layer address, if said.
    private(set) var sourceLink: MACAddress?
    /// The target's link-layer address, if said.
    private(set) var targetLink: MACAddress?
    /// The link's MTU, if said.
    private(set) var mtu: UInt32?

    /// Whether an advertisement comes from a router.
    var isRouter: Bool { kind == .advertisement && flags & Flags.router != 0 }
    /// Whether an advertisement answers a solicitation.
    var isSolicited: Bool { kind == .advertisement && flags & Flags.solicited != 0 }
    /// Whether an advertisement replaces a link-layer address that is known.
    var isOverride: Bool { kind == .advertisement && flags & Flags.override != 0 }

    /// Flags of an advertisement (section 4.4).
    enum Flags {
        static let router: UInt32 = 0x8000_0000
        static let solicited: UInt32 = 0x4000_0000
        static let override: UInt32 = 0x2000_0000
    }

    /// Reads and checks a message.
    ///
    /// - Parameters:
    ///   - frame: The frame that both headers were read from.
    ///   - header: The packet's header.
    ///   - upper: What it carries: ICMPv6, as the caller has seen.
    /// - Throws: `PacketError` `fragment`, `truncated`, `checksum`, `operation` for another type,
    ///   `hopLimit`, `code`, `address`, `optionLength` or `optionLimit`.
    init(
        _ frame: RawSpan, _ header: IPv6Header, _ upper: IPv6UpperLayer
    ) throws(PacketError) {
        let message = try ICMPMessage(frame, header, upper)
        guard let kind = Kind(rawValue: message.type) else { throw .operation }
        guard header.hopLimit == 255 else { throw .hopLimit }
        guard message.code == 0 else { throw .code }
        guard message.end - message.offset >= kind.byteCount else { throw .truncated }
        self.kind = kind
        source = header.source
        destination = header.destination
        flags = message.rest
        let targeted = kind.byteCount >= 24
        target = targeted ? frame.loadIPv6Address(at: message.offset + 8) : .unspecified
        redirected =
            kind == .redirect ? frame.loadIPv6Address(at: message.offset + 24) : .unspecified
        try readOptions(frame, from: message.offset + kind.byteCount, to: message.end)
        guard hasAllowedAddresses else { throw .address }
    }

    private mutating func readOptions(
        _ frame: RawSpan, from start: Int, to end: Int
    ) throws(PacketError) {
        var offset = start
        var left = Self.optionLimit
        while offset < end {
            guard left > 0 else { throw .optionLimit }
            left -= 1
            guard offset + 8 <= end else { throw .optionLength }
            let word = frame.loadBigEndian(at: offset, as: UInt64.self)
            let length = Int(word >> 48 & 0xFF) * 8
            guard length > 0, offset + length <= end else { throw .optionLength }
            switch (UInt8(truncatingIfNeeded: word >> 56), length) {
            case (Option.sourceLinkAddress, 8): sourceLink = MACAddress(rawValue: word)
            case (Option.targetLinkAddress, 8): targetLink = MACAddress(rawValue: word)
            case (Option.mtu, 8): mtu = UInt32(truncatingIfNeeded: word)
            default: break  // Those unknown are passed over (section 4.6).
            }
            offset += length
        }
    }

    private var hasAllowedAddresses: Bool {
        switch kind {
        case .routerSolicitation:
            !(source.isUnspecified && sourceLink != nil)
        case .routerAdvertisement:
            source.isLinkLocal
        case .solicitation:
            !target.isMulticast
                && (!source.isUnspecified
                    || destination == target.solicitedNodeGroup && sourceLink == nil)
        case .advertisement:
            !target.isMulticast && !(destination.isMulticast && isSolicited)
        case .redirect:
            source.isLinkLocal && !redirected.isMulticast
                && (target.isLinkLocal || target == redirected)
        }
    }
}
