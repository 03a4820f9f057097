/// Where a router's packets go: the routes of all its namespaces.
///
/// A route lives in three places. The radix trie of its namespace and family has it with its metric and
/// origin, and answers what covers what. The poptrie beside it, which is all that the packet path reads,
/// has for each address the path group of the best route, as 16 bits. The path group has its next hops:
/// one destination, or buckets that share the flows among several.
///
///     address ──▶ poptrie ──▶ path group ──▶ destination
///                                  └ flow hash ──▶ bucket ──▶ destination
///
/// The processor changes routes here, one at a time; each change is found by every lookup that begins after
/// it, and is made whole or not at all. Readers look up in ``reader``. Memory of all tables comes from one
/// pool, so that a thousand namespaces of a few routes take no more than one of as many.
public struct ForwardingTables: ~Copyable {
    /// What workers look up in.
    public let reader: ForwardingReader
    private var pool: TriePool
    private var namespaces: [UInt16: NamespaceTables] = [:]
    private let prefixLimit: Int

    /// Tables without namespaces.
    ///
    /// - Parameters:
    ///   - quiescence: Which every thread that looks up is a reader of.
    ///   - limits: How large they may grow.
    /// - Throws: `RouterError` of kind `memory`.
    public init(
        quiescence: Quiescence, limits: ForwardingLimits = ForwardingLimits()
    ) throws(RouterError) {
        let pool = try TriePool(quiescence: quiescence, limits: limits)
        reader = pool.memory
        self.pool = pool
        prefixLimit = limits.prefixesPerTable
    }

    /// Adds a namespace without routes.
    ///
    /// A batch that looked up in a namespace of the same number, removed since, may mix the two: its number
    /// is given to another once such batches have ended.
    ///
    /// - Parameters:
    ///   - namespace: Its number.
    ///   - prefixLimit: How many prefixes of a family it can have; nil for the limit of all.
    /// - Throws: `RouterError` of kind `exists`.
    public mutating func addNamespace(
        _ namespace: NamespaceIndex, prefixLimit: Int? = nil
    ) throws(RouterError) {
        guard namespaces[namespace.rawValue] == nil else {
            throw RouterError(.exists, "\(namespace) has forwarding tables already")
        }
        namespaces[namespace.rawValue] = NamespaceTables(
            namespace, prefixLimit: min(prefixLimit ?? .max, self.prefixLimit))
    }

    /// Removes a namespace with its routes.
    ///
    /// - Returns: The next hops its routes had, each as often as they had it.
    /// - Throws: `RouterError` of kind `notFound`.
    @discardableResult
    public mutating func removeNamespace(
        _ namespace: NamespaceIndex
    ) throws(RouterError) -> [NextHop] {
        let tables = try tables(of: namespace)
        let nextHops = tables.nextHops
        tables.ipv4.removeAll(pool: &pool)
        tables.ipv6.removeAll(pool: &pool)
        tables.groups.removeAll(pool: &pool)
        namespaces[namespace.rawValue] = nil
        return nextHops
    }

    /// Gives memory that no reader is in any more to be used again; changes do so too, a little each.
    public mutating func reclaim() {
        pool.reclaim()
    }

    /// What the tables take.
    public var usage: ForwardingUsage {
        var usage = pool.usage
        for tables in namespaces.values {
            usage.trieBytes += tables.ipv4.trie.byteCount + tables.ipv6.trie.byteCount
        }
        return usage
    }

    /// How many more blocks are handed out before one is refused; for tests of what happens then.
    var allocationsLeft: Int {
        get { pool.allocationsLeft }
        set { pool.allocationsLeft = newValue }
    }

    func tables(of namespace: NamespaceIndex) throws(RouterError) -> NamespaceTables {
        guard let tables = namespaces[namespace.rawValue] else {
            throw RouterError(.notFound, "\(namespace) has no forwarding tables")
        }
        return tables
    }

    /// Calls with a namespace's tables and the pool.
    mutating func change<Result>(
        _ namespace: NamespaceIndex,
        _ body: (NamespaceTables, inout TriePool) throws(RouterError) -> Result
    ) throws(RouterError) -> Result {
        try body(try tables(of: namespace), &pool)
    }

    /// The next hops of a group, by handle.
    public func nextHops(
        of group: PathGroupIndex, in namespace: NamespaceIndex
    ) throws(RouterError) -> [NextHop] {
        try tables(of: namespace).groups.members(of: group)
    }
}
