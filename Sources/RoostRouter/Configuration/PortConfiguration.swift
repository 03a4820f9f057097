/// A port of a router as it is asked for.
public struct PortConfiguration: Equatable, Sendable {
    /// What frames come from and go to.
    public enum Kind: Equatable, Sendable {
        /// A TAP device, made if it is missing.
        ///
        /// - Parameters:
        ///   - device: Its name, at most 15 bytes.
        ///   - networkNamespace: The name of the system's network namespace it is in, as `ip netns`
        ///     names them; nil for that of the process.
        case tap(device: String, networkNamespace: String?)
    }

    /// What the MTU may be: from the least of IPv4 (RFC 791) to jumbo frames, for which buffers are
    /// laid out.
    public static let mtus = 68...9216
    /// The least MTU of a port with IPv6 (RFC 8200, section 5).
    public static let leastIPv6MTU = 1280

    /// Its name among all ports of the router.
    public var name: String
    /// What frames come from and go to.
    public var kind: Kind
    /// Its link-layer address; nil for one that the router chooses at random.
    public var mac: MACAddress?
    /// The longest packet that it sends, in bytes without the link header; one of ``mtus``.
    public var mtu = 1500
    /// Its own addresses, with the prefixes of its link.
    public var addresses: [InterfaceAddress] = []
    /// How sources of what comes in are checked.
    public var reversePath = ReversePathMode.off
    /// Whether hosts are told of a better next hop on their link.
    public var sendsRedirects = true

    /// Describes a port.
    public init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

/// How a port checks where packets come from (RFC 3704).
public enum ReversePathMode: String, BitwiseCopyable, CaseIterable, Sendable {
    /// Not at all.
    case off
    /// There must be a route to the source.
    case loose
    /// The route to the source must leave by the port that the packet came in on.
    case strict
}
