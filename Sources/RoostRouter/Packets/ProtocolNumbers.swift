/// What an Ethernet frame carries (IEEE 802 numbers).
enum EtherType {
    /// IPv4 (RFC 894).
    static let ipv4: UInt16 = 0x0800
    /// ARP (RFC 826).
    static let arp: UInt16 = 0x0806
    /// A customer's VLAN tag (IEEE 802.1Q).
    static let vlan: UInt16 = 0x8100
    /// A provider's VLAN tag (IEEE 802.1ad).
    static let providerVLAN: UInt16 = 0x88A8
    /// IPv6 (RFC 2464).
    static let ipv6: UInt16 = 0x86DD
}

/// What an IP packet carries, and IPv6's extension headers (IANA's protocol numbers).
enum IPProtocol {
    /// Hop-by-hop options (RFC 8200, section 4.3).
    static let hopByHop: UInt8 = 0
    /// ICMP (RFC 792).
    static let icmp: UInt8 = 1
    /// IGMP (RFC 3376).
    static let igmp: UInt8 = 2
    /// TCP (RFC 9293).
    static let tcp: UInt8 = 6
    /// UDP (RFC 768).
    static let udp: UInt8 = 17
    /// DCCP (RFC 4340), whose ports are where UDP's are.
    static let dccp: UInt8 = 33
    /// Routing header (RFC 8200, section 4.4).
    static let routing: UInt8 = 43
    /// Fragment header (RFC 8200, section 4.5).
    static let fragment: UInt8 = 44
    /// Authentication header (RFC 4302).
    static let authentication: UInt8 = 51
    /// ICMPv6 (RFC 4443).
    static let icmpv6: UInt8 = 58
    /// Nothing follows (RFC 8200, section 4.7).
    static let noNextHeader: UInt8 = 59
    /// Destination options (RFC 8200, section 4.6).
    static let destinationOptions: UInt8 = 60
    /// SCTP (RFC 9260), whose ports are where UDP's are.
    static let sctp: UInt8 = 132
    /// UDP-Lite (RFC 3828).
    static let udpLite: UInt8 = 136
}
