internal import RoostMemory

/// What a namespace has a share of; neighbours and the budget of ICMP keep shares of their own.
enum QuotaKind: Int, CaseIterable, Sendable {
    /// Destination entries of any sort, from allocation until they are destroyed; their table counts
    /// them.
    case entries
    /// Exceptions whose fact is in use.
    case exceptions
    /// Exceptions whose fact nobody has used yet.
    case probation
}

/// How much of each kind a namespace may have.
struct QuotaLimits: Sendable, Equatable {
    /// What the limits of all namespaces of a router may add up to, of each kind.
    static let ceiling = 1 << 24

    private var limits: [UInt32]

    /// The same for each kind, to be changed by kind.
    init(each limit: UInt32) {
        limits = Array(repeating: limit, count: QuotaKind.allCases.count)
    }

    /// The limit of a kind.
    subscript(kind: QuotaKind) -> UInt32 {
        get { limits[kind.rawValue] }
        set { limits[kind.rawValue] = newValue }
    }
}

/// What each namespace has of every table, and may have.
///
/// A limit is a guarantee: a namespace gets one only while the sum of all limits stays within the
/// process's ceiling. So whatever one namespace takes, another can take all of its own, and the
/// ceiling holds without ever being what a packet runs into.
///
/// The processor's thread takes and gives; any thread may read the numbers.
final class QuotaLedger: Sendable {
    private static let kindCount = QuotaKind.allCases.count
    private static let namespaceCount = Int(UInt16.max) + 1

    /// What the process may have of each kind, whatever the namespaces.
    let ceilings: QuotaLimits
    /// The numbers.
    ///
    /// Of each namespace and kind two words: the limit above the number used, and the refusals. After
    /// all namespaces, of each kind the sum of the limits.
    private let words: AtomicArray<UInt64>

    /// Makes a ledger in which no namespace has a share.
    ///
    /// - Parameter ceilings: What the process may have of each kind.
    /// - Throws: `RouterError` of kind `memory`.
    init(ceilings: QuotaLimits) throws(RouterError) {
        self.ceilings = ceilings
        do {
            words = try AtomicArray(count: (Self.namespaceCount * 2 + 1) * Self.kindCount)
        } catch {
            throw RouterError(error, for: "the quotas of namespaces")
        }
    }

    /// Gives a namespace its share, or another one than it had; what it has taken stays.
    ///
    /// - Parameters:
    ///   - limits: Its share.
    ///   - namespace: The namespace.
    /// - Throws: `RouterError` of kind `limit` when all shares together would pass a ceiling; the
    ///   namespace has what it had before.
    func setLimits(_ limits: QuotaLimits, of namespace: NamespaceIndex) throws(RouterError) {
        for kind in QuotaKind.allCases {
            let others = promised(kind) - UInt64(limit(kind, of: namespace))
            guard others + UInt64(limits[kind]) <= ceilings[kind] else {
                throw RouterError(
                    .limit,
                    "\(namespace) cannot have \(limits[kind]) \(kind): others have \(others) of "
                        + "\(ceilings[kind]); lower its quota or raise the router's ceiling")
            }
        }
        for kind in QuotaKind.allCases { setLimit(limits[kind], kind, of: namespace) }
    }

    /// Takes a namespace's share away; it takes nothing more, and gives back what it has.
    func removeNamespace(_ namespace: NamespaceIndex) {
        for kind in QuotaKind.allCases { setLimit(0, kind, of: namespace) }
    }

    /// Takes one of a kind for a namespace.
    ///
    /// - Returns: Whether the namespace has room; if not, it is counted and nothing is taken.
    func take(_ kind: QuotaKind, for namespace: NamespaceIndex) -> Bool {
        let place = place(kind, namespace)
        guard !isFull(kind, of: namespace) else {
            // Refusals wrap after longer than any machine runs.
            words.storeRelaxed(words.relaxed(place + 1) &+ 1, at: place + 1)
            return false
        }
        words.storeRelaxed(words.relaxed(place) + 1, at: place)
        return true
    }

    /// Whether a namespace has room for one more of a kind that a table counts itself.
    ///
    /// - Parameters:
    ///   - kind: The kind.
    ///   - count: How many the namespace has.
    ///   - namespace: The namespace.
    /// - Returns: Whether it may have one more; if not, it is counted.
    func has(_ kind: QuotaKind, beside count: Int, for namespace: NamespaceIndex) -> Bool {
        guard count >= limit(kind, of: namespace) else { return true }
        let place = place(kind, namespace)
        words.storeRelaxed(words.relaxed(place + 1) &+ 1, at: place + 1)
        return false
    }

    /// Gives one of a kind back.
    ///
    /// - Precondition: The namespace has one.
    func give(_ kind: QuotaKind, of namespace: NamespaceIndex) {
        precondition(used(kind, by: namespace) > 0)
        let place = place(kind, namespace)
        words.storeRelaxed(words.relaxed(place) - 1, at: place)
    }

    /// Whether a namespace has its share of a kind, or more.
    func isFull(_ kind: QuotaKind, of namespace: NamespaceIndex) -> Bool {
        used(kind, by: namespace) >= limit(kind, of: namespace)
    }

    /// How many of a kind a namespace has.
    func used(_ kind: QuotaKind, by namespace: NamespaceIndex) -> Int {
        Int(UInt32(truncatingIfNeeded: words.relaxed(place(kind, namespace))))
    }

    /// How many of a kind a namespace may have.
    func limit(_ kind: QuotaKind, of namespace: NamespaceIndex) -> Int {
        Int(words.relaxed(place(kind, namespace)) >> 32)
    }

    /// How often a namespace was refused one of a kind.
    func refused(_ kind: QuotaKind, to namespace: NamespaceIndex) -> UInt64 {
        words.relaxed(place(kind, namespace) + 1)
    }

    /// The sum of all namespaces' limits of a kind.
    private func promised(_ kind: QuotaKind) -> UInt64 {
        words.relaxed(Self.namespaceCount * 2 * Self.kindCount + kind.rawValue)
    }

    private func setLimit(_ limit: UInt32, _ kind: QuotaKind, of namespace: NamespaceIndex) {
        let sum = promised(kind) - UInt64(self.limit(kind, of: namespace)) + UInt64(limit)
        words.storeRelaxed(sum, at: Self.namespaceCount * 2 * Self.kindCount + kind.rawValue)
        words.storeRelaxed(
            UInt64(limit) << 32 | UInt64(used(kind, by: namespace)), at: place(kind, namespace))
    }

    private func place(_ kind: QuotaKind, _ namespace: NamespaceIndex) -> Int {
        (Int(namespace.rawValue) * Self.kindCount + kind.rawValue) * 2
    }
}
