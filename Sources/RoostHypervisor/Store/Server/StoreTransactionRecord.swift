internal import SystemPackage

/// What a transaction has looked at and changed, so that its end can tell whether somebody else
/// has been there, and do the changes for everybody.
struct StoreTransactionRecord: Sendable {
    /// What of a node a transaction relies on.
    struct Aspects: OptionSet, Sendable {
        let rawValue: UInt8

        /// Whether it exists, its value and its permissions.
        static let content = Aspects(rawValue: 1)
        /// The names of its children.
        static let children = Aspects(rawValue: 2)
        /// Everything here and below.
        static let subtree = Aspects(rawValue: 4)
    }

    /// A node that the transaction has changed.
    struct Change: Sendable {
        let path: StoreNodePath
        /// Whether watches are told; not of what was only made on the way.
        var isWatched: Bool
        /// Whether it was removed at some time, so that all below is to be replaced.
        var isReplaced: Bool
    }

    /// The store as it was at the beginning.
    let base: StoreTree
    private let nodeLimit: Int
    private var relied: [StoreNodePath: Aspects] = [:]
    /// In the order in which the nodes were first changed.
    private(set) var changes: [Change] = []
    private var places: [StoreNodePath: Int] = [:]
    /// Whether it names a domain that is no more.
    var isDoomed = false

    init(base: StoreTree, nodeLimit: Int) {
        self.base = base
        self.nodeLimit = nodeLimit
    }

    /// Notes that the transaction relies on something.
    ///
    /// - Throws: `noSpace` when it would be one node too many.
    mutating func note(_ aspects: Aspects, _ path: StoreNodePath) throws(Errno) {
        if let known = relied[path] {
            relied[path] = known.union(aspects)
        } else {
            guard relied.count < nodeLimit else { throw .noSpace }
            relied[path] = aspects
        }
    }

    /// Notes that a node was written, made or given other permissions.
    mutating func changed(_ path: StoreNodePath, isWatched: Bool) {
        if let place = places[path] {
            changes[place].isWatched = changes[place].isWatched || isWatched
        } else {
            append(Change(path: path, isWatched: isWatched, isReplaced: false))
        }
    }

    /// Notes that a node was removed.
    mutating func removed(_ path: StoreNodePath) {
        if let place = places[path] {
            changes[place].isWatched = true
            changes[place].isReplaced = true
        } else {
            append(Change(path: path, isWatched: true, isReplaced: true))
        }
    }

    private mutating func append(_ change: Change) {
        places[change.path] = changes.count
        changes.append(change)
    }

    /// Whether anything that the transaction relies on is other than it was at its beginning.
    func isInConflict(with tree: StoreTree) -> Bool {
        if isDoomed { return true }
        guard tree.generation != base.generation else { return false }
        return relied.contains { path, aspects in
            let before = base.node(path)
            let now = tree.node(path)
            if aspects.contains(.subtree), before?.subtreeGeneration != now?.subtreeGeneration {
                return true
            }
            if aspects.contains(.children), before?.childrenGeneration != now?.childrenGeneration {
                return true
            }
            return before?.contentGeneration != now?.contentGeneration
        }
    }
}

extension StoreView {
    /// Does a transaction's changes for everybody.
    ///
    /// - Returns: What watches are told, in the order in which the nodes were first changed.
    /// - Throws: `resourceTemporarilyUnavailable` when somebody else has changed what it relies on,
    ///   `noSpace` when the domain would own too many nodes; nothing has changed then.
    mutating func commit(
        _ transaction: StoreView, as actor: StoreActor, _ limits: StoreLimits
    ) throws(Errno) -> [StoreChange] {
        guard let record = transaction.record else { return [] }
        guard !record.isInConflict(with: tree) else { throw .resourceTemporarilyUnavailable }
        var merged = tree
        var told: [StoreChange] = []
        for change in record.changes {
            let before = merged.node(change.path)
            let after = transaction.tree.node(change.path)
            if let after {
                if change.isReplaced {
                    merged.graft(after, at: change.path)
                } else {
                    merged.put(
                        change.path, value: after.value, permissions: after.permissions)
                }
            } else if change.isReplaced {
                _ = merged.remove(change.path)
            }
            guard change.isWatched else { continue }
            told.append(Self.told(of: change, before: before, after: after))
        }
        guard actor.isPrivileged || merged.isWithin(limits, actor.domain, comparedWith: tree)
        else { throw .noSpace }
        tree = merged
        return told
    }

    private static func told(
        of change: StoreTransactionRecord.Change, before: StoreNode?, after: StoreNode?
    ) -> StoreChange {
        switch (before, after) {
        case (let before?, nil): .removed(change.path, before)
        case (let before?, let after?)
        where change.isReplaced == false
            && before.permissions != after.permissions:
            .permissions(change.path, before: before.permissions)
        case (let before?, .some) where change.isReplaced: .removed(change.path, before)
        default: .changed(change.path)
        }
    }

    /// Marks a transaction that has given a domain permissions which is no more, so that a later
    /// domain of the same number does not get them.
    mutating func doom(_ domain: DomainID) {
        guard let record else { return }
        let isNamed = record.changes.contains { change in
            tree.node(change.path)?.permissions.mentions(domain) ?? false
        }
        if isNamed { markDoomed() }
    }
}

extension StoreTree {
    /// Whether a domain owns no more nodes than it may, or none more than before.
    func isWithin(
        _ limits: StoreLimits, _ domain: DomainID, comparedWith before: StoreTree
    ) -> Bool {
        let owned = ownedCounts[domain, default: 0]
        return owned <= max(limits.nodeCount, before.ownedCounts[domain, default: 0])
    }
}
