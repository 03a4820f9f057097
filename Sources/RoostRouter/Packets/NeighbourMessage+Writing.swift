internal import RoostMemory

/// Messages of neighbour discovery that the router sends.
extension NeighbourMessage {
    /// The hop limit of every message.
    static let hopLimit: UInt8 = 255
    /// The length of a solicitation or an advertisement with an option, from the IP header on.
    static let maximumByteCount = IPv6Header.byteCount + 32
    /// The length of a router's advertisement without prefixes, from the IP header on.
    static let routerAdvertisementByteCount = IPv6Header.byteCount + 32
    /// What each prefix adds to it.
    static let prefixByteCount = 32

    /// Writes the question who has an address.
    ///
    /// - Parameters:
    ///   - target: The address.
    ///   - source: The router's address on the link; :: when it asks about its own.
    ///   - hardware: The router's link-layer address; not said from ::.
    ///   - destination: Whom is asked: the target itself, or nil for its group.
    ///   - output: Room for ``maximumByteCount`` from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on.
    static func writeSolicitation(
        for target: IPv6Address, from source: IPv6Address, hardware: MACAddress,
        to destination: IPv6Address? = nil, into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let message = start + IPv6Header.byteCount
        output.storeBigEndian(UInt64(Kind.solicitation.rawValue) << 56, at: message)
        output.storeBigEndian(target, at: message + 8)
        var end = message + Kind.solicitation.byteCount
        if !source.isUnspecified {
            output.storeLink(hardware, as: Option.sourceLinkAddress, at: &end)
        }
        return finish(
            &output, at: start, end, from: source, to: destination ?? target.solicitedNodeGroup)
    }

    /// Writes the statement that the router has an address.
    ///
    /// - Parameters:
    ///   - target: The address.
    ///   - hardware: The link-layer address it is at; nil leaves it out, which only an answer to one
    ///     who knows it may do.
    ///   - destination: Whom it is for: who asked, or all nodes when that was :: or nobody.
    ///   - isOverride: Whether it replaces what is known.
    ///   - isRouter: Whether the router forwards on the link.
    ///   - output: Room for ``maximumByteCount`` from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on.
    static func writeAdvertisement(
        of target: IPv6Address, hardware: MACAddress?, to destination: IPv6Address,
        isOverride: Bool, isRouter: Bool = true, into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let message = start + IPv6Header.byteCount
        var flags: UInt32 = isRouter ? Flags.router : 0
        if !destination.isMulticast { flags |= Flags.solicited }
        if isOverride { flags |= Flags.override }
        output.storeBigEndian(
            UInt64(Kind.advertisement.rawValue) << 56 | UInt64(flags), at: message)
        output.storeBigEndian(target, at: message + 8)
        var end = message + Kind.advertisement.byteCount
        if let hardware { output.storeLink(hardware, as: Option.targetLinkAddress, at: &end) }
        return finish(&output, at: start, end, from: target, to: destination)
    }

    /// A prefix that hosts of the link make addresses in (RFC 4861, section 4.6.2).
    struct AdvertisedPrefix: Sendable {
        /// The prefix.
        let prefix: IPv6Prefix
        /// How long addresses in it hold, in seconds; all ones is for ever.
        let validSeconds: UInt32
        /// How long they are preferred, in seconds, at most as long.
        let preferredSeconds: UInt32
    }

    /// Writes the statement that here is a router.
    ///
    /// - Parameters:
    ///   - source: The router's link-local address.
    ///   - hardware: Its link-layer address.
    ///   - destination: Whom it is for.
    ///   - lifetimeSeconds: How long it is a default router, 0 to 9000; 0 is not.
    ///   - mtu: The link's MTU.
    ///   - prefixes: The link's prefixes.
    ///   - output: Room for ``routerAdvertisementByteCount`` and ``prefixByteCount`` for each prefix.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on.
    static func writeRouterAdvertisement(
        from source: IPv6Address, hardware: MACAddress, to destination: IPv6Address = .allNodes,
        lifetimeSeconds: UInt16, mtu: UInt32, prefixes: [AdvertisedPrefix],
        into output: inout MutableRawSpan, at start: Int
    ) -> Int {
        let message = start + IPv6Header.byteCount
        let life = UInt64(IPv6Header.defaultHopLimit) << 24 | UInt64(lifetimeSeconds)
        output.storeBigEndian(
            UInt64(Kind.routerAdvertisement.rawValue) << 56 | life, at: message)
        output.storeBigEndian(UInt64(0), at: message + 8)  // Times are left to the hosts.
        var end = message + Kind.routerAdvertisement.byteCount
        output.storeLink(hardware, as: Option.sourceLinkAddress, at: &end)
        output.storeBigEndian(UInt64(Option.mtu) << 56 | 1 << 48 | UInt64(mtu), at: end)
        end += 8
        for advertised in prefixes {
            // On the link, and for autonomous configuration when it leaves 64 bits (RFC 4862).
            let flags: UInt32 = advertised.prefix.length == 64 ? 0xC0 : 0x80
            output.storeBigEndian(
                UInt32(Option.prefixInformation) << 24 | 4 << 16
                    | UInt32(advertised.prefix.length) << 8 | flags, at: end)
            output.storeBigEndian(advertised.validSeconds, at: end + 4)
            output.storeBigEndian(advertised.preferredSeconds, at: end + 8)
            output.storeBigEndian(UInt32(0), at: end + 12)
            output.storeBigEndian(advertised.prefix.address, at: end + 16)
            end += prefixByteCount
        }
        return finish(&output, at: start, end, from: source, to: destination)
    }

    /// Writes a redirect about a packet that leaves by the port it came from.
    ///
    /// - Parameters:
    ///   - frame: The frame that the header was read from.
    ///   - header: The packet's header; the message goes to its source.
    ///   - target: The better first hop, link-local; or the packet's destination itself.
    ///   - targetLink: Its link-layer address, if known.
    ///   - source: The router's link-local address.
    ///   - output: Room for `ICMPv6Error.maximumByteCount` from the start on.
    ///   - start: Where its IP header goes.
    /// - Returns: The message's length from its IP header on, at most 1280.
    static func writeRedirect(
        about frame: RawSpan, _ header: IPv6Header, to target: IPv6Address,
        targetLink: MACAddress?, from source: IPv6Address, into output: inout MutableRawSpan,
        at start: Int
    ) -> Int {
        let message = start + IPv6Header.byteCount
        output.storeBigEndian(UInt64(Kind.redirect.rawValue) << 56, at: message)
        output.storeBigEndian(target, at: message + 8)
        output.storeBigEndian(header.destination, at: message + 24)
        var end = message + Kind.redirect.byteCount
        if let targetLink { output.storeLink(targetLink, as: Option.targetLinkAddress, at: &end) }
        // An option is a multiple of 8 bytes long, 8 of which come before the packet.
        let room = ICMPv6Error.maximumByteCount - (end - start) - 8
        let quoted = min(header.end - header.offset, room) & ~7
        output.storeBigEndian(
            UInt64(Option.redirectedHeader) << 56 | UInt64(quoted / 8 + 1) << 48, at: end)
        output.replaceBytes(
            at: end + 8, with: frame.extracting(header.offset..<header.offset + quoted))
        return finish(&output, at: start, end + 8 + quoted, from: source, to: header.source)
    }

    private static func finish(
        _ output: inout MutableRawSpan, at start: Int, _ end: Int, from source: IPv6Address,
        to destination: IPv6Address
    ) -> Int {
        let message = start + IPv6Header.byteCount
        IPv6Header.write(
            source: source, destination: destination, nextHeader: IPProtocol.icmpv6,
            payloadByteCount: end - message, hopLimit: hopLimit, into: &output, at: start)
        ICMPMessage.finishChecksum(
            &output, at: message, byteCount: end - message, from: source, to: destination)
        return end - start
    }
}

extension MutableRawSpan {
    /// Writes an option with an Ethernet address (RFC 4861, section 4.6.1) and moves behind it.
    fileprivate mutating func storeLink(
        _ address: MACAddress, as option: UInt8, at offset: inout Int
    ) {
        storeBigEndian(UInt64(option) << 56 | 1 << 48 | address.rawValue, at: offset)
        offset += 8
    }
}
