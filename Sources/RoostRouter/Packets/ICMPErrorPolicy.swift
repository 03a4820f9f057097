internal import RoostMemory

/// When an error about a packet must not be sent.
///
/// RFC 1812, section 4.3.2.7; RFC 4443, section 2.4(e). Budgets are apart; a packet whose header
/// failed its checks has no header to ask with.
enum ICMPErrorPolicy {
    /// Whether an error about an IPv4 packet may be sent.
    ///
    /// - Parameters:
    ///   - frame: The frame that the header was read from.
    ///   - header: The packet's header.
    ///   - isLinkGroup: Whether the frame came as a multicast or broadcast of the link.
    ///   - isBroadcast: Whether its source or destination is the broadcast address of a subnet, as
    ///     the routes know.
    /// - Returns: Whether it may.
    static func permits(
        about frame: RawSpan, _ header: IPv4Header, isLinkGroup: Bool, isBroadcast: Bool
    ) -> Bool {
        guard !isLinkGroup, !isBroadcast, header.fragmentByteOffset == 0, header.source.isHost,
            !header.destination.isMulticast, header.destination != .limitedBroadcast
        else { return false }
        guard header.protocolNumber == IPProtocol.icmp else { return true }
        // One whose type is cut off may be an error.
        guard header.payloadByteCount > 0 else { return false }
        return !ICMPMessage.isError(frame.loadBigEndian(at: header.payloadOffset, as: UInt8.self))
    }

    /// Whether an error about an IPv6 packet may be sent.
    ///
    /// - Parameters:
    ///   - error: The error: two kinds may be about groups.
    ///   - frame: The frame that the header was read from.
    ///   - header: The packet's header.
    ///   - isLinkGroup: Whether the frame came as a multicast of the link.
    /// - Returns: Whether it may.
    static func permits(
        _ error: ICMPv6Error, about frame: RawSpan, _ header: IPv6Header, isLinkGroup: Bool
    ) -> Bool {
        let source = header.source
        guard !source.isUnspecified, !source.isMulticast, !source.isLoopback else { return false }
        let mayConcernGroup =
            error.type == ICMPMessage.Kind6.packetTooBig
            || error.type == ICMPMessage.Kind6.parameterProblem
                && error.code == ICMPv6Error.Problem.unrecognizedOption.rawValue
        guard mayConcernGroup || !isLinkGroup && !header.destination.isMulticast
        else { return false }
        return !isErrorOrRedirect(frame, header)
    }

    /// Whether a packet is an ICMPv6 error or a redirect; one that cannot be read counts as one.
    private static func isErrorOrRedirect(_ frame: RawSpan, _ header: IPv6Header) -> Bool {
        do throws(PacketError) {
            let upper = try IPv6UpperLayer(frame, header)
            guard upper.protocolNumber == IPProtocol.icmpv6 else { return false }
            // A later fragment does not show its type.
            guard upper.fragmentByteOffset == 0, upper.byteCount > 0 else { return true }
            let type = frame.loadBigEndian(at: upper.offset, as: UInt8.self)
            return type < 128 || type == ICMPMessage.Kind6.redirect
        } catch {
            return true
        }
    }
}
