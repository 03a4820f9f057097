/// What stops and continues a guest for the switch-over.
///
/// Called from the source's thread.
public protocol MigrationGuest: AnyObject, Sendable {
    /// Stops the guest: when this returns it writes its memory no more.
    ///
    /// - Throws: `MigrationError` of kind `guest` or `transfer`; the guest runs then, if it is
    ///   there at all.
    func pause() throws(MigrationError)

    /// Says that the paused guest may run elsewhere from now on: should this process be killed,
    /// nobody else may continue it. Only ``resume()`` takes that back.
    func leave()

    /// Lets the guest go on after a move that failed.
    func resume()

    /// Blocks that the guest was given since the last call; asked in each round, and once more
    /// when it stands still.
    ///
    /// - Returns: The blocks; most often none.
    /// - Throws: `MigrationError` of kind `guest` when the guest is gone.
    func addedBlocks() throws(MigrationError) -> [MigratedBlock]
}

extension MigrationGuest {
    /// Does nothing: there is nobody else who could continue the guest.
    public func leave() {}

    /// None: blocks are given to ``MigrationSource/add(_:)`` instead.
    public func addedBlocks() throws(MigrationError) -> [MigratedBlock] { [] }
}
