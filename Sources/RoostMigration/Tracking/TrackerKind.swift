internal import RoostMemory

/// How the pages that a guest writes are found.
public enum TrackerKind: String, Sendable, CaseIterable {
    /// The first of the others that the kernel and the guest can do.
    case automatic = "auto"
    /// The kernel remembers writes and is asked about them; the guest never waits. Linux 6.7.
    case asynchronousProtection = "wp-async"
    /// The guest waits at the first write to a page in each round. Linux 5.19.
    case synchronousProtection = "wp-sync"
    /// A copy of the guest's memory is compared with it. Needs nothing but memory.
    case shadow
}

extension ProcessGuest {
    /// Makes a tracker for this guest.
    ///
    /// - Parameters:
    ///   - kind: Which one.
    ///   - passedOver: For ``TrackerKind/automatic``, is called with each kind that cannot be used
    ///     and the reason.
    /// - Returns: The tracker, not started.
    /// - Throws: `MigrationError` of kind `unsupported` when this kind cannot be used here, `guest`
    ///   when the guest is gone.
    public func tracker(
        _ kind: TrackerKind, passedOver: (TrackerKind, String) -> Void = { _, _ in }
    ) throws(MigrationError) -> any DirtyTracker {
        switch kind {
        case .asynchronousProtection:
            return AsyncWriteProtectTracker(self, try protection(.asynchronous))
        case .synchronousProtection:
            return SyncWriteProtectTracker(self, try protection(.synchronous))
        case .shadow:
            return ShadowCopyTracker { [self] name in
                blocks.first { $0.name == name }?.memoryFile
            }
        case .automatic:
            for kind in [TrackerKind.asynchronousProtection, .synchronousProtection] {
                do throws(MigrationError) {
                    return try tracker(kind)
                } catch {
                    guard error.kind == .unsupported else { throw error }
                    passedOver(kind, error.description)
                }
            }
            return try tracker(.shadow)
        }
    }
}
