/// The store's name for a watch.
struct StoreWatchID: Hashable, Sendable {
    let rawValue: UInt64
}

/// A client's wish to be told of changes.
struct StoreWatchEntry: Sendable {
    let connection: StoreConnectionID
    /// Absolute, or the name of a special event.
    let path: String
    /// What the client tells its watches apart by; any bytes but NUL.
    let token: [UInt8]
    /// How many bytes of a path are left out for the client, since it gave a relative one.
    let omittedByteCount: Int

    /// A path as the client is told it.
    func told(_ path: String) -> String {
        omittedByteCount == 0 ? path : String(path.utf8.dropFirst(omittedByteCount)) ?? path
    }

    /// The watched path as the client is told it.
    var toldPath: String { told(path) }
}

/// All watches, found by the path that they are on.
struct StoreWatchTable: Sendable {
    private var byPath: [String: [StoreWatchID: StoreWatchEntry]] = [:]
    private var lastID: UInt64 = 0

    /// How many paths are watched.
    var pathCount: Int { byPath.count }

    /// A watch under its name.
    typealias Found = (key: StoreWatchID, value: StoreWatchEntry)

    /// The watches on exactly this path, the oldest first.
    func watches(on path: String) -> [Found] {
        guard let found = byPath[path] else { return [] }
        return found.sorted { $0.key.rawValue < $1.key.rawValue }
    }

    /// The watches on this path and on those above it.
    func watches(over path: StoreNodePath) -> [Found] {
        guard !byPath.isEmpty else { return [] }
        var found = watches(on: "/")
        var text = ""
        for component in path.components {
            text += "/" + component
            found += watches(on: text)
        }
        return found
    }

    /// A connection's watch on a path with a token, or `nil`.
    func find(
        _ connection: StoreConnectionID, _ path: String, _ token: [UInt8]
    ) -> StoreWatchID? {
        byPath[path]?.first { $0.value.connection == connection && $0.value.token == token }?.key
    }

    mutating func add(_ entry: StoreWatchEntry) -> StoreWatchID {
        lastID += 1
        let id = StoreWatchID(rawValue: lastID)
        byPath[entry.path, default: [:]][id] = entry
        return id
    }

    mutating func remove(_ id: StoreWatchID, on path: String) {
        byPath[path]?[id] = nil
        if byPath[path]?.isEmpty ?? false { byPath[path] = nil }
    }
}
