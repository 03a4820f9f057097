public import RoostMemory

/// A RAM block as a dirty tracker sees it.
public struct TrackedBlock: Sendable, Equatable {
    /// The block's name.
    public let name: String
    /// Its pages in the common numbering: those of the ``DirtyBitmap`` and, times `pageByteCount`,
    /// the bytes of the `MemorySpace`.
    public let pages: Range<Int>

    /// Describes a block.
    ///
    /// - Parameters:
    ///   - name: The block's name.
    ///   - pages: Its pages in the common numbering.
    public init(name: String, pages: Range<Int>) {
        self.name = name
        self.pages = pages
    }
}

/// What finds the pages that a guest writes.
///
/// A ``MigrationSource`` calls it from its own thread: ``start(_:memory:)`` once, then
/// ``add(_:)`` and ``collect(into:)`` any number of times, then ``stop()``. What a page holds when
/// it is sent must be at least as new as the ``collect(into:)`` before it; a write that comes
/// later is reported by the next one.
public protocol DirtyTracker: AnyObject, Sendable {
    /// What logs and statistics call it, such as `wp-async`.
    var name: String { get }

    /// What pages are to be sent from, where that is not the guest's memory itself.
    ///
    /// Asked once, after ``start(_:memory:)``.
    var snapshot: MemorySpace? { get }

    /// Begins to track: every write that begins after this returned is reported.
    ///
    /// - Parameters:
    ///   - blocks: The guest's blocks.
    ///   - memory: The guest's memory as the source has mapped it.
    /// - Throws: `MigrationError` of kind `unsupported` or `transfer`; nothing is tracked then.
    func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError)

    /// Tracks a block that was added, all of whose pages are dirty already.
    ///
    /// - Throws: `MigrationError`, as ``start(_:memory:)``.
    func add(_ block: TrackedBlock) throws(MigrationError)

    /// Marks the pages that were written since the last call, and forgets them.
    ///
    /// - Parameter bitmap: Where they are marked.
    /// - Throws: `MigrationError` of kind `guest` when the guest is gone, else `transfer`.
    func collect(into bitmap: inout DirtyBitmap) throws(MigrationError)

    /// Ends the tracking; the guest then runs as if there had been none. Calling it again does
    /// nothing.
    func stop()
}

extension DirtyTracker {
    /// `nil`: pages are sent from the guest's memory.
    public var snapshot: MemorySpace? { nil }
}
