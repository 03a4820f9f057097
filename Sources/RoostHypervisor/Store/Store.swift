/// A connection to xenstore, as a domain sees it.
///
/// Paths are absolute, or relative to the domain's own `/local/domain/<id>`. Any task may call
/// any method.
public protocol Store: Sendable {
    associatedtype Watch: AsyncSequence<StorePath, Never> & Sendable

    /// Reads a node's value.
    ///
    /// - Parameters:
    ///   - path: Which.
    ///   - transaction: In which transaction, or `nil`.
    /// - Returns: The value.
    /// - Throws: `HypervisorError` of kind `store` (`noSuchFileOrDirectory`, `permissionDenied`) or
    ///   `lost`; so do all of these.
    func read(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [UInt8]

    /// Writes a node's value; makes it and what leads to it where they are missing.
    func write(
        _ value: [UInt8], to path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError)

    /// Makes an empty node, if there is none.
    func makeDirectory(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError)

    /// The names of a node's children.
    func directory(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [String]

    /// Removes a node and all below it; a missing one is no failure if its parent exists.
    func remove(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError)

    /// A node's permissions.
    func permissions(
        of path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> StorePermissions

    /// Replaces a node's permissions.
    func setPermissions(
        _ permissions: StorePermissions, of path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError)

    /// Begins a transaction: reads see the store as it is now, writes are seen by all at its end.
    func beginTransaction() async throws(HypervisorError) -> StoreTransaction

    /// Ends a transaction.
    ///
    /// - Parameters:
    ///   - transaction: Which.
    ///   - commits: Whether its writes are to happen.
    /// - Returns: Whether they have; `false` when somebody else changed what it had looked at: then
    ///   all is to be done anew.
    /// - Throws: `HypervisorError` of kind `store` or `lost`.
    func endTransaction(
        _ transaction: StoreTransaction, commits: Bool
    ) async throws(HypervisorError) -> Bool

    /// Watches a node and all below it.
    ///
    /// The first element comes at once. An element is a path that may have changed: it says "look
    /// again", never what it changed to; several changes of one path may come as one. The sequence
    /// ends with the connection, and ending the iteration or its task ends the watch.
    func watch(_ path: StorePath) async throws(HypervisorError) -> Watch
}
