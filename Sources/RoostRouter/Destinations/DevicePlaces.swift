/// What the table of destinations knows about a port.
internal struct PortPlace: BitwiseCopyable, Sendable {
    enum State: UInt8, BitwiseCopyable, Sendable {
        case unknown = 0
        case up = 1
        case down = 2
        case leaving = 3
    }

    var state = State.unknown
    var namespace = NamespaceIndex(rawValue: 0)
    /// The epoch in which a port that left could last be found; it is the next one's to wait for.
    var lastEpoch: UInt64 = 0
    /// The entries through the port, live and retired.
    var entries = EntryList()
}

/// What the table of destinations knows about a namespace.
internal struct NamespacePlace: BitwiseCopyable, Sendable {
    enum State: UInt8, BitwiseCopyable, Sendable {
        case unknown = 0
        case present = 1
        case leaving = 2
    }

    var state = State.unknown
    /// The port at which what had to leave its port is parked.
    var loopback = PortIndex.blackhole
    /// The epoch in which a namespace that left could last be found.
    var lastEpoch: UInt64 = 0
    var entries = EntryList()
    var account = DestinationAccount()
    /// When allocation last collected for the namespace.
    var lastShrink: UInt64 = 0
    var hasShrunk = false
}

/// A port's or namespace's event that is not wholly carried out yet.
internal enum DeviceEvent: Equatable, Sendable {
    case down(PortIndex)
    case removed(PortIndex)
    case namespaceRemoved(NamespaceIndex)
}
