/// What an entry does, packed in the one word that a packet's worker loads first, so that a reader
/// racing with a change sees the old answer or the new one and never a mixture.
///
///      63    56 55    48 47          32 31          16 15      8 7       0
///     +--------+--------+--------------+--------------+---------+---------+
///     | flags  | error  |  namespace   |     port     | output  |  input  |
///     +--------+--------+--------------+--------------+---------+---------+
///
/// Zero discards in both directions through the blackhole.
public struct DestinationWord: BitwiseCopyable, Equatable, Sendable {
    /// The word as it lies in the slab.
    public var rawValue: UInt64

    /// A word as it lies in the slab.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// A word of its parts.
    public init(
        input: DestinationAction, output: DestinationAction, port: PortIndex,
        namespace: NamespaceIndex, error: DestinationError = .none, flags: DestinationFlags = []
    ) {
        rawValue =
            UInt64(input.rawValue) | UInt64(output.rawValue) << 8 | UInt64(port.rawValue) << 16
            | UInt64(namespace.rawValue) << 32 | UInt64(error.rawValue) << 48
            | UInt64(flags.rawValue) << 56
    }

    /// What is done with a packet received.
    @inlinable
    public var input: DestinationAction {
        get { DestinationAction(rawValue: UInt8(truncatingIfNeeded: rawValue)) ?? .discard }
        set { replace(0xff, with: UInt64(newValue.rawValue), at: 0) }
    }

    /// What is done with a packet sent.
    @inlinable
    public var output: DestinationAction {
        get { DestinationAction(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8)) ?? .discard }
        set { replace(0xff, with: UInt64(newValue.rawValue), at: 8) }
    }

    /// The port that packets leave through.
    @inlinable
    public var port: PortIndex {
        get { PortIndex(rawValue: UInt16(truncatingIfNeeded: rawValue >> 16)) }
        set { replace(0xffff, with: UInt64(newValue.rawValue), at: 16) }
    }

    /// The namespace that the entry belongs to.
    @inlinable
    public var namespace: NamespaceIndex {
        get { NamespaceIndex(rawValue: UInt16(truncatingIfNeeded: rawValue >> 32)) }
        set { replace(0xffff, with: UInt64(newValue.rawValue), at: 32) }
    }

    /// The failure that the entry stands for.
    @inlinable
    public var error: DestinationError {
        get { DestinationError(rawValue: UInt8(truncatingIfNeeded: rawValue >> 48)) ?? .invalid }
        set { replace(0xff, with: UInt64(newValue.rawValue), at: 48) }
    }

    /// The entry's marks.
    @inlinable
    public var flags: DestinationFlags {
        get { DestinationFlags(rawValue: UInt8(truncatingIfNeeded: rawValue >> 56)) }
        set { replace(0xff, with: UInt64(newValue.rawValue), at: 56) }
    }

    /// The same entry, discarding in both directions; who holds it must route again.
    public var discarding: DestinationWord {
        var word = self
        word.input = .discard
        word.output = .discard
        word.flags.insert(.isKilled)
        return word
    }

    /// Whether packets are discarded in both directions.
    public var isDiscarding: Bool { input == .discard && output == .discard }

    @inlinable
    internal mutating func replace(_ mask: UInt64, with bits: UInt64, at shift: UInt64) {
        rawValue = rawValue & ~(mask &<< shift) | bits &<< shift
    }
}

/// Where an entry's packets go next: its second word.
///
///      63            48 47            32 31                            0
///     +----------------+----------------+-------------------------------+
///     |    metrics     |    path MTU    |           neighbour           |
///     +----------------+----------------+-------------------------------+
public struct DestinationLink: BitwiseCopyable, Equatable, Sendable {
    /// The word as it lies in the slab.
    public var rawValue: UInt64

    /// A word as it lies in the slab.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// A word of its parts.
    public init(neighbour: NeighbourHandle, pathMTU: UInt16 = 0, metrics: UInt16 = 0) {
        rawValue =
            UInt64(neighbour.rawValue) | UInt64(pathMTU) << 32 | UInt64(metrics) << 48
    }

    /// The neighbour of the next hop.
    @inlinable
    public var neighbour: NeighbourHandle {
        NeighbourHandle(rawValue: UInt32(truncatingIfNeeded: rawValue))
    }

    /// The largest packet on the path in bytes; 0 is the port's MTU.
    @inlinable
    public var pathMTU: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 32) }

    /// Which metrics of the table hold for the path; 0 is the defaults.
    @inlinable
    public var metrics: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 48) }
}
