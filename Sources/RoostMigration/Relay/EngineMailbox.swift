internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What other threads have to say to the one thread of an engine.
///
/// Any thread may post; a post ends the engine's wait.
final class EngineMailbox<Notice: Sendable>: Sendable {
    private let notices = Mutex<[Notice]>([])
    private let event: EventCounter

    /// Readable while something was posted.
    var descriptor: FileDescriptor { event.descriptor }

    /// Makes an empty mailbox.
    ///
    /// - Throws: `MigrationError` of kind `transfer` when the system has no descriptor for it.
    init() throws(MigrationError) {
        do throws(Errno) {
            event = try EventCounter.make()
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "cannot make an event descriptor: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }

    /// Says something to the engine.
    func post(_ notice: Notice) {
        notices.withLock { $0.append(notice) }
        event.signal()
    }

    /// Takes what was posted, the oldest first.
    func take() -> [Notice] {
        _ = event.take()
        return notices.withLock { notices in
            defer { notices = [] }
            return notices
        }
    }
}
