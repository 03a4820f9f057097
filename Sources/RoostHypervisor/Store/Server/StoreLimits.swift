/// What an ordinary domain may use of the store, over all its connections together.
///
/// The numbers are those of Xen 4.17's xenstored. Privileged connections have no such limits.
package struct StoreLimits: Sendable {
    /// Nodes it may own.
    package var nodeCount = 1000
    /// Watches it may have.
    package var watchCount = 128
    /// The bytes of a value.
    package var valueByteCount = 2048
    /// Transactions it may have open.
    package var transactionCount = 10
    /// Nodes that a transaction may look at or change.
    package var transactionNodeCount = 1024
    /// Entries of a node's permissions, the owner's included.
    package var permissionCount = 5
    /// Answers that a client may leave untaken, privileged or not.
    ///
    /// Then its further requests wait.
    package var outstandingCount = 20

    package init() {}

    /// The bytes of requests that wait for a client to take its answers; one that sends more
    /// without reading has lost its connection.
    static let pendingByteCount = 256 * 1024

    /// Watch events that wait for a client; then they become one for each of its watches.
    static let eventCount = 1024

    /// About how many bytes are handed out at once.
    package static let outputByteCount = 64 * 1024
}

/// On whose behalf something is done to the store.
struct StoreActor: Sendable {
    let domain: DomainID
    /// Whether permissions and limits are not asked for.
    let isPrivileged: Bool

    /// Whether permissions let the actor read (or write).
    func may(_ wanted: StorePermissions.Access, _ permissions: StorePermissions) -> Bool {
        isPrivileged || permissions.allows(wanted, to: domain)
    }
}

/// Something that watches are told of.
enum StoreChange: Sendable {
    /// A value was written, or a node made.
    case changed(StoreNodePath)
    /// A node was removed, with all that was below it.
    case removed(StoreNodePath, StoreNode)
    /// Permissions were replaced; who could read before is told too.
    case permissions(StoreNodePath, before: StorePermissions)

    var path: StoreNodePath {
        switch self {
        case .changed(let path), .removed(let path, _), .permissions(let path, _): path
        }
    }
}
