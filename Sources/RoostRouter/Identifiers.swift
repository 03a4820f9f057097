/// A port of the router, by its place in the table of ports; 0 is the blackhole, which drops all and
/// outlives everything.
public struct PortIndex: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The place.
    public let rawValue: UInt16

    /// A port by its place.
    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The port that drops all.
    public static var blackhole: PortIndex { PortIndex(rawValue: 0) }

    /// `port 3`.
    public var description: String { "port \(rawValue)" }
}

/// A namespace of the router: ports, routes, neighbours and destinations of its own.
public struct NamespaceIndex: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The place in the table of namespaces.
    public let rawValue: UInt16

    /// A namespace by its place.
    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// `namespace 3`.
    public var description: String { "namespace \(rawValue)" }
}

/// A family of addresses.
public enum AddressFamily: UInt8, BitwiseCopyable, CaseIterable, Hashable, Sendable {
    /// IPv4.
    case ipv4 = 4
    /// IPv6.
    case ipv6 = 6
}
