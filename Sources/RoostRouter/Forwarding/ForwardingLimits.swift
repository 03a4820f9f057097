internal import RoostMemory

/// How large the forwarding tables of a router may grow, all namespaces together.
///
/// Address space is reserved for these sizes; memory is taken where it was written.
public struct ForwardingLimits: Sendable {
    /// Nodes of all poptries that have children, 16 bytes each: a full table has a few thousand for
    /// IPv4, and a few hundred thousand for IPv6.
    public var nodes = 1 << 23
    /// Words of leaves of all poptries, 8 bytes each: a full table has about a million.
    public var leafWords = 1 << 24
    /// Words of direct parts and of path groups, 4 bytes each: a full table has 2¹⁸.
    public var words = 1 << 25
    /// Prefixes of one family in one namespace: a few times the whole Internet's.
    public var prefixesPerTable = 1 << 22

    /// The usual limits.
    public init() {}
}

/// What the forwarding tables of a router take, in bytes.
public struct ForwardingUsage: Sendable, Equatable {
    /// Blocks of nodes in use, and those that wait for readers.
    public var nodeBytes = 0
    /// Blocks of leaves in use, and those that wait for readers.
    public var leafBytes = 0
    /// Direct parts and path groups in use, and those that wait for readers.
    public var wordBytes = 0
    /// Memory the three have ever touched: what the process pays for them.
    public var touchedBytes = 0
    /// The authoritative tries of all tables, which the packet path does not read.
    public var trieBytes = 0
    /// How many blocks wait for readers to leave.
    public var deferredBlocks = 0

    /// What the packet path reads, in bytes.
    public var lookupBytes: Int { nodeBytes + leafBytes + wordBytes }
}
