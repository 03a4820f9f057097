/// The store's name for a client's connection.
package struct StoreConnectionID: Hashable, Sendable {
    package let rawValue: UInt64
}

/// What the store knows of one connection.
struct StoreConnection: Sendable {
    let actor: StoreActor
    var reader = StoreMessageReader()
    /// Requests that wait for answers to be taken.
    private var pending: [StoreMessage] = []
    private var pendingStart = 0
    private(set) var pendingByteCount = 0
    var output = StoreOutput()
    var transactions: [UInt32: StoreView] = [:]
    private var lastTransaction: UInt32 = 0
    var watches: [StoreWatchID: StoreWatchEntry] = [:]

    init(_ actor: StoreActor) {
        self.actor = actor
    }

    /// Puts a request behind those that wait.
    mutating func enqueue(_ request: StoreMessage) {
        pending.append(request)
        pendingByteCount += request.byteCount
    }

    /// Takes the request that has waited longest.
    mutating func dequeue() -> StoreMessage? {
        guard pendingStart < pending.count else { return nil }
        let request = pending[pendingStart]
        pendingStart += 1
        pendingByteCount -= request.byteCount
        if pendingStart == pending.count {
            pending = []
            pendingStart = 0
        }
        return request
    }

    /// Opens a transaction.
    ///
    /// - Returns: Its number, which is not 0 and no open one's.
    mutating func open(_ view: StoreView) -> UInt32 {
        repeat {
            lastTransaction &+= 1
        } while lastTransaction == 0 || transactions[lastTransaction] != nil
        transactions[lastTransaction] = view
        return lastTransaction
    }

    /// Adds an event, and folds them all when there are too many.
    mutating func tell(_ event: StoreOutput.Event) {
        output.append(event)
        if output.eventCount > max(StoreLimits.eventCount, 2 * watches.count) {
            output.fold(watches)
        }
    }
}
