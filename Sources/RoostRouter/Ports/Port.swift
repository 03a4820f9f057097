/// What a port is.
enum PortKind: UInt8, CaseIterable, Sendable {
    /// The port that drops all; see ``PortIndex/blackhole``.
    case blackhole
    /// A namespace's own: what is parked there is dropped.
    case loopback
    /// A TAP interface.
    case tap
    /// One of two ports in memory.
    case memory

    /// The name in reports.
    var name: String {
        switch self {
        case .blackhole: "blackhole"
        case .loopback: "loopback"
        case .tap: "tap"
        case .memory: "memory"
        }
    }
}

/// A port of a namespace, as configured.
///
/// Its addresses are the router's, its frames a ``FramePort``'s.
struct Port: Equatable, Sendable {
    /// The longest name, in bytes: that of a Linux interface with room for a prefix.
    static let nameLimit = 31
    /// The MTUs that a port can have: RFC 791 asks for 68; a ``FrameBatch`` holds 9,216.
    static let mtuLimits = 68...9_216

    /// The name, one of its kind in the namespace: 1 to ``nameLimit`` bytes.
    var name: String
    /// What it is.
    var kind: PortKind
    /// Whose it is.
    var namespace: NamespaceIndex
    /// The router's link-layer address on it, that of one station.
    var mac: MACAddress
    /// The longest payload of a frame in bytes.
    var mtu: Int
    /// Whether it takes and gives frames.
    var isUp: Bool

    /// A port.
    init(
        name: String, kind: PortKind, namespace: NamespaceIndex, mac: MACAddress, mtu: Int = 1_500,
        isUp: Bool = true
    ) {
        self.name = name
        self.kind = kind
        self.namespace = namespace
        self.mac = mac
        self.mtu = mtu
        self.isUp = isUp
    }

    /// Refuses what cannot be.
    ///
    /// - Throws: `RouterError` of kind `invalidValue`.
    func check() throws(RouterError) {
        guard !name.isEmpty, name.utf8.count <= Self.nameLimit else {
            throw RouterError(
                .invalidValue,
                "cannot name a port \"\(name)\": give 1 to \(Self.nameLimit) bytes")
        }
        guard Self.mtuLimits.contains(mtu) else {
            throw RouterError(
                .invalidValue,
                "cannot give port \(name) an MTU of \(mtu): give \(Self.mtuLimits.lowerBound) to "
                    + "\(Self.mtuLimits.upperBound)")
        }
        guard !mac.isMulticast, mac.rawValue != 0 || kind == .loopback || kind == .blackhole else {
            throw RouterError(
                .invalidValue,
                "cannot give port \(name) the link-layer address \(mac): give that of one station")
        }
    }
}

extension MACAddress {
    /// A random address that is locally administered (IEEE 802: the first octet's second bit) and of
    /// one station.
    static func randomLocal(using random: inout some RandomNumberGenerator) -> MACAddress {
        let local: UInt64 = 0x0200_0000_0000
        let group: UInt64 = 0x0100_0000_0000
        return MACAddress(rawValue: random.next() & ~group | local)
    }
}
