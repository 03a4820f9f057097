internal import RoostMemory

/// What the routes of a namespace lead to: sets of next hops, each with a number of 16 bits.
///
/// Routes with the same next hops share a group, which is counted. Readers find a group's word in a
/// table of the namespace's:
///
///     0 · destination (31 bits)                 one next hop
///     1 · index of the buckets (31 bits)        several: 128 words of a destination each
///
/// The number of a group that nobody uses any more is given to another once readers have left.
struct PathGroups: Sendable {
    /// Groups a namespace can have: what 16 bits can name, 0 being no route.
    static let groupLimit = Int(UInt16.max)
    /// Next hops a group can have: half as many as there are buckets.
    static let memberLimit = 64
    /// Set in the word of a group with several next hops.
    static let bucketsFlag: UInt32 = 1 << 31

    /// What tells a group from another: its next hops by handle, and how they share the flows.
    private enum Content: Hashable, Sendable {
        case single(NextHop)
        case several(PathBuckets)

        var members: [NextHop] {
            switch self {
            case .single(let member): [member]
            case .several(let buckets): buckets.members
            }
        }
    }

    private struct Group: Sendable {
        var content: Content
        var useCount: Int
        /// Where its buckets lie, 0 for a single next hop.
        var buckets: UInt32
    }

    private let rootIndex: Int
    private var order = 0
    private var base = 0
    /// By index; place 0 is never used.
    private var groups: [Group?] = [nil]
    private var indices: [Content: UInt16] = [:]
    private var free: [UInt16] = []
    /// Indices that readers may still have found, oldest first from ``firstWaiting`` on.
    private var waiting: [(index: UInt16, epoch: UInt64)] = []
    private var firstWaiting = 0

    /// No groups, for a namespace.
    init(namespace: NamespaceIndex) {
        rootIndex = Int(namespace.rawValue) * TrieWord.rootStride + TrieWord.groupOffset
    }

    /// How many groups are in use.
    var count: Int { indices.count }

    /// A group's next hops, by handle.
    func members(of index: PathGroupIndex) -> [NextHop] {
        Int(index.rawValue) < groups.count
            ? groups[Int(index.rawValue)]?.content.members ?? [] : []
    }

    /// One more use of the group of some next hops.
    ///
    /// - Parameters:
    ///   - nextHops: With different destinations, in any order.
    ///   - old: A group of more or fewer next hops that it takes the place of: its flows stay where they
    ///     are as far as the next hops are the same.
    ///   - pool: Where the words come from.
    /// - Returns: The group, which readers can look up once a route publishes it.
    /// - Throws: `RouterError` of kind `invalidValue` or `limit`.
    mutating func use(
        _ nextHops: [NextHop], replacing old: PathGroupIndex, pool: inout TriePool
    ) throws(RouterError) -> PathGroupIndex {
        let members = try Self.checked(nextHops)
        let content: Content
        if members.count == 1 {
            content = .single(members[0])
        } else {
            content = .several(PathBuckets(members, keeping: buckets(of: old)))
        }
        if let index = indices[content] {
            groups[Int(index)]?.useCount += 1
            return PathGroupIndex(rawValue: index)
        }
        return try make(content, pool: &pool)
    }

    /// One use less of a group that was replaced in an epoch.
    mutating func release(_ index: PathGroupIndex, epoch: UInt64, pool: inout TriePool) {
        let place = Int(index.rawValue)
        guard var group = groups[place] else { return }
        group.useCount -= 1
        guard group.useCount == 0 else {
            groups[place] = group
            return
        }
        indices[group.content] = nil
        groups[place] = nil
        waiting.append((index.rawValue, epoch))
        if group.buckets != 0 {
            pool.replace(.words(group.buckets, order: UInt8(PathBuckets.order)))
            pool.commit()
        }
    }

    /// Gives all words back: the namespace's routes are gone.
    mutating func removeAll(pool: inout TriePool) {
        pool.memory.roots.release(0, at: rootIndex)
        for case let group? in groups where group.buckets != 0 {
            pool.replace(.words(group.buckets, order: UInt8(PathBuckets.order)))
        }
        if order != 0 { pool.replace(.words(UInt32(base), order: UInt8(order))) }
        pool.commit()
    }

    private static func checked(_ nextHops: [NextHop]) throws(RouterError) -> [NextHop] {
        let members = nextHops.sorted { $0.destination.rawValue < $1.destination.rawValue }
        guard !members.isEmpty, members.count <= memberLimit else {
            throw RouterError(
                .limit, "a route has 1 to \(memberLimit) next hops, not \(members.count)")
        }
        for (place, member) in members.enumerated() {
            guard member.weight > 0, !member.destination.isNone,
                member.destination.rawValue < NextHop.handleLimit,
                place == 0 || members[place - 1].destination != member.destination
            else {
                throw RouterError(
                    .invalidValue,
                    "next hops have weights of at least 1 and different destinations")
            }
        }
        return members
    }

    private func buckets(of index: PathGroupIndex) -> PathBuckets? {
        guard Int(index.rawValue) < groups.count,
            case .several(let buckets)? = groups[Int(index.rawValue)]?.content
        else { return nil }
        return buckets
    }

    private mutating func make(
        _ content: Content, pool: inout TriePool
    ) throws(RouterError) -> PathGroupIndex {
        let index = try takeIndex(pool: &pool)
        do {
            // Last, since it publishes.
            let word = try publishable(content, pool: &pool)
            try grow(toHold: Int(index), pool: &pool)
            pool.memory.words.release(word, at: base + Int(index))
            let buckets = word & Self.bucketsFlag == 0 ? 0 : word & ~Self.bucketsFlag
            groups[Int(index)] = Group(content: content, useCount: 1, buckets: buckets)
        } catch {
            pool.abort()
            free.append(index)
            throw error
        }
        pool.commit()
        indices[content] = index
        return PathGroupIndex(rawValue: index)
    }

    /// A group's word, with its buckets written.
    private func publishable(
        _ content: Content, pool: inout TriePool
    ) throws(RouterError) -> UInt32 {
        switch content {
        case .single(let member):
            return member.destination.rawValue
        case .several(let buckets):
            let first = try pool.takeWords(order: PathBuckets.order)
            for bucket in 0..<PathBuckets.count {
                pool.memory.words.storeRelaxed(
                    buckets.destination(bucket).rawValue, at: Int(first) + bucket)
            }
            return first | Self.bucketsFlag
        }
    }

    private mutating func takeIndex(pool: inout TriePool) throws(RouterError) -> UInt16 {
        while firstWaiting < waiting.count, pool.hasPassed(waiting[firstWaiting].epoch) {
            free.append(waiting[firstWaiting].index)
            firstWaiting += 1
        }
        if firstWaiting > waiting.count / 2 {
            waiting.removeFirst(firstWaiting)
            firstWaiting = 0
        }
        if let index = free.popLast() { return index }
        guard groups.count <= Self.groupLimit else {
            throw RouterError(
                .limit,
                "the namespace's routes have \(count) different sets of next hops, "
                    + "\(waiting.count) more wait for readers: it can have \(Self.groupLimit)")
        }
        groups.append(nil)
        return UInt16(groups.count - 1)
    }

    /// Has the table of words reach up to an index; readers find the new one with all that was there.
    private mutating func grow(toHold index: Int, pool: inout TriePool) throws(RouterError) {
        guard order == 0 || index >> order != 0 else { return }
        let newOrder = max(order + 1, WordAllocator.smallestOrder)
        let newBase = Int(try pool.takeWords(order: newOrder))
        let oldCount = order == 0 ? 0 : 1 << order
        for place in 0..<1 << newOrder {
            let word = place < oldCount ? pool.memory.words.relaxed(base + place) : 0
            pool.memory.words.storeRelaxed(word, at: newBase + place)
        }
        pool.memory.roots.release(UInt32(newBase | newOrder), at: rootIndex)
        if order != 0 { pool.replace(.words(UInt32(base), order: UInt8(order))) }
        order = newOrder
        base = newBase
    }
}
