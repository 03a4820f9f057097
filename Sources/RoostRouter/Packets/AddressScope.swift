/// Which addresses a router may forward between (RFC 1812, sections 4.2.2.11 and 5.3.7; RFC 3927,
/// section 7).
extension IPv4Address {
    /// 0.0.0.0/8, this network.
    var isThisNetwork: Bool { rawValue >> 24 == 0 }
    /// 127.0.0.0/8.
    var isLoopback: Bool { rawValue >> 24 == 127 }
    /// 169.254.0.0/16 (RFC 3927).
    var isLinkLocal: Bool { rawValue >> 16 == 0xA9FE }
    /// 224.0.0.0/4.
    var isMulticast: Bool { rawValue >> 28 == 0xE }
    /// 240.0.0.0/4, class E, with the limited broadcast.
    var isReserved: Bool { rawValue >> 28 == 0xF }

    /// Whether it can be that of one host, a subnet's broadcast address aside.
    var isHost: Bool { !isThisNetwork && !isLoopback && rawValue < 0xE000_0000 }

    /// Whether packets from it may be forwarded; whether it is a subnet's broadcast address the
    /// routes know.
    var isForwardableSource: Bool { isHost && !isLinkLocal }

    /// Whether packets to it may be forwarded: no multicast for the link alone (224.0.0.0/24), none
    /// of the above but other multicast.
    var isForwardableDestination: Bool {
        isForwardableSource || isMulticast && rawValue >> 8 != 0xE0_0000
    }
}

/// Which addresses a router may forward between (RFC 4291, section 2.5; RFC 4007, section 9).
extension IPv6Address {
    /// Multicast scopes (RFC 7346).
    enum MulticastScope {
        /// One link.
        static let link: UInt8 = 2
    }

    /// ::1, the loopback address.
    static var loopback: IPv6Address { IPv6Address(high: 0, low: 1) }
    /// ff02::1, all nodes of a link.
    static var allNodes: IPv6Address { IPv6Address(high: 0xFF02 << 48, low: 1) }
    /// ff02::2, all routers of a link.
    static var allRouters: IPv6Address { IPv6Address(high: 0xFF02 << 48, low: 2) }

    /// Whether it is ::.
    var isUnspecified: Bool { high | low == 0 }
    /// Whether it is ::1.
    var isLoopback: Bool { high | (low ^ 1) == 0 }
    /// fe80::/10.
    var isLinkLocal: Bool { high >> 54 == 0xFE80 >> 6 }
    /// ff00::/8.
    var isMulticast: Bool { high >> 56 == 0xFF }
    /// How far a multicast address reaches, 0 to 15.
    var multicastScope: UInt8 { UInt8(truncatingIfNeeded: high >> 48 & 0xF) }

    /// Whether packets from it may be forwarded.
    var isForwardableSource: Bool {
        !isMulticast && !isLinkLocal && !isUnspecified && !isLoopback
    }

    /// Whether packets to it may be forwarded: multicast only of more than a link's scope.
    var isForwardableDestination: Bool {
        isMulticast ? multicastScope > MulticastScope.link : isForwardableSource
    }

    /// The group in which the owner of this address is asked for (RFC 4291, section 2.7.1):
    /// ff02::1:ff00:0/104 and its last 24 bits.
    var solicitedNodeGroup: IPv6Address {
        IPv6Address(high: 0xFF02 << 48, low: 0x1_FF00_0000 | low & 0xFF_FFFF)
    }

    /// The address that a link-layer address gives in a prefix of 64 bits (RFC 4291, appendix A).
    init(prefix: UInt64, interface hardware: MACAddress) {
        let octets = hardware.rawValue
        let upper = (octets >> 24 ^ 0x02_0000) << 40
        self.init(high: prefix, low: upper | 0xFF_FE00_0000 | octets & 0xFF_FFFF)
    }
}

extension MACAddress {
    /// The link's group for a multicast address (RFC 1112, section 6.4).
    init(group: IPv4Address) {
        self.init(rawValue: 0x0100_5E00_0000 | UInt64(group.rawValue & 0x7F_FFFF))
    }

    /// The link's group for a multicast address (RFC 2464, section 7).
    init(group: IPv6Address) {
        self.init(rawValue: 0x3333_0000_0000 | group.low & 0xFFFF_FFFF)
    }
}
