internal import Synchronization

/// What keeps this process from ending at once when it is told to, as those who hold it say.
///
/// A request under way in a storage, a guest between two hosts: such work is finished or undone first,
/// and who asked for the end is told what is waited for.
package enum StopHolds {
    /// A hold, let go with the value.
    package struct Hold: ~Copyable, Sendable {
        fileprivate let token: UInt64

        deinit {
            _ = StopHolds.reasons.withLock { $0.removeValue(forKey: token) }
        }
    }

    private static let reasons = Mutex<[UInt64: @Sendable () -> String?]>([:])
    private static let last = Atomic<UInt64>(0)

    /// Holds the process.
    ///
    /// - Parameter reason: Says what is waited for, as "waiting for …" goes on; `nil` while there is
    ///   nothing. Called on any thread.
    /// - Returns: The hold.
    package static func hold(_ reason: @escaping @Sendable () -> String?) -> Hold {
        let token = last.add(1, ordering: .relaxed).newValue
        reasons.withLock { $0[token] = reason }
        return Hold(token: token)
    }

    /// What is waited for now, in the order in which it was said.
    package static var current: [String] {
        let all = reasons.withLock { $0.sorted { $0.key < $1.key }.map(\.value) }
        return all.compactMap { $0() }
    }
}
