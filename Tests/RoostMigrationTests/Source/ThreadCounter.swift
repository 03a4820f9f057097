import RoostSystem
import Synchronization
import SystemPackage

@testable import RoostMigration

/// Starts threads, counts those that run, and fails at one of them.
final class ThreadCounter: Sendable {
    private let started = Atomic<Int>(0)
    private let ended = Atomic<Int>(0)
    private let failing: Int?

    /// - Parameter failing: Which start fails, counted from 0.
    init(failing: Int? = nil) {
        self.failing = failing
    }

    var startedCount: Int { started.load(ordering: .acquiring) }

    /// Whether every thread that was started ends soon.
    var isQuietSoon: Bool {
        ProcessState.soon { ended.load(ordering: .acquiring) == startedCount }
    }

    var starter: ThreadStarter {
        ThreadStarter { [self] name, body in
            guard startedCount != failing else {
                return SystemError(.thread, errno: .resourceTemporarilyUnavailable, "no thread")
            }
            started.add(1, ordering: .acquiringAndReleasing)
            return DedicatedThread.start(name: name) {
                body()
                self.ended.add(1, ordering: .acquiringAndReleasing)
            }
        }
    }
}
