internal import RoostMemory
internal import SystemPackage

/// Completions that wait to be taken, first in, first out; as many as a queue's depth.
internal struct CompletionQueue: ~Copyable {
    /// A completion in plain integers; 0 stands for no error.
    internal struct Entry: Sendable {
        var tag: Int32
        var errno: Int32
    }

    private var entries: FixedArray<Entry>
    private var first = 0
    private(set) var count = 0

    private init(_ entries: consuming FixedArray<Entry>) {
        self.entries = entries
    }

    /// Makes an empty queue.
    ///
    /// - Parameter capacity: The most completions that can wait, at least one.
    /// - Returns: The queue.
    /// - Throws: `BlockError` of kind `storage` when there is no memory.
    static func make(capacity: Int) throws(BlockError) -> CompletionQueue {
        do throws(MemoryError) {
            return CompletionQueue(try FixedArray(count: capacity))
        } catch {
            throw BlockError(.storage, errno: error.errno, error.description)
        }
    }

    /// Puts a completion behind those that wait.
    ///
    /// - Precondition: There is room: a tag waits at most once.
    mutating func append(tag: Int, errno: Errno?) {
        precondition(count < entries.count, "more requests under way than the queue is deep")
        var index = first &+ count
        if index >= entries.count { index &-= entries.count }
        entries[index] = Entry(tag: Int32(truncatingIfNeeded: tag), errno: errno?.rawValue ?? 0)
        count &+= 1
    }

    /// Takes the oldest completion.
    mutating func takeFirst() -> StorageCompletion? {
        guard count > 0 else { return nil }
        let entry = entries[first]
        first = first &+ 1 == entries.count ? 0 : first &+ 1
        count &-= 1
        return StorageCompletion(
            tag: Int(entry.tag), errno: entry.errno == 0 ? nil : Errno(rawValue: entry.errno))
    }
}
