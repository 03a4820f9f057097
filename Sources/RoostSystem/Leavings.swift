internal import Glibc
internal import Synchronization

/// What this process has made in the file system and takes away again: unfinished files, sockets.
///
/// Whoever makes such a thing takes it away when its own end comes. This list is for the process's:
/// a program that has to end at once calls ``removeAll()`` first.
package enum Leavings {
    private struct Item {
        let path: String
        let facts: FileFacts
    }

    private static let items = Mutex<[UInt64: Item]>([:])
    private static let last = Atomic<UInt64>(0)

    /// Notes what is at a path now.
    ///
    /// - Returns: What ``remove(_:)`` and ``keep(_:)`` know it by; `nil` when nothing is there.
    static func note(_ path: String) -> UInt64? {
        guard let facts = FileFacts(at: path) else { return nil }
        let token = last.add(1, ordering: .relaxed).newValue
        items.withLock { $0[token] = Item(path: path, facts: facts) }
        return token
    }

    /// Takes a thing away, unless another has its place.
    static func remove(_ token: UInt64?) {
        guard let token else { return }
        if let item = items.withLock({ $0.removeValue(forKey: token) }) { remove(item) }
    }

    /// Lets a thing stay.
    static func keep(_ token: UInt64?) {
        guard let token else { return }
        items.withLock { $0[token] = nil }
    }

    /// Takes everything away that is noted, the last first.
    ///
    /// Waits for no lock for long, so that it can be called while other threads work.
    package static func removeAll() {
        let all = items.withLock { items in
            defer { items = [:] }
            return items.sorted { $0.key > $1.key }
        }
        for (_, item) in all { remove(item) }
    }

    private static func remove(_ item: Item) {
        guard let now = FileFacts(at: item.path), now.isSameFile(as: item.facts) else { return }
        // What cannot be removed stays: a partial name says what it is, a socket is replaced.
        _ = unsafe unlink(item.path)
    }
}
