/// A transaction of one connection to the store.
public struct StoreTransaction: Hashable, Sendable {
    /// The store's number for it, never 0.
    public let id: UInt32

    package init(id: UInt32) {
        self.id = id
    }
}
