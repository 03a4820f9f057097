internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Tells at once when the first of two processes ends.
///
/// A thread of its own waits for their descriptors, until ``stop()`` or the end of the object.
final class ProcessWatch: Sendable {
    /// Which process ended first.
    enum Ended: Sendable {
        case first, second
    }

    private let signal: StopSignal
    private let ended: Shared

    private final class Shared: Sendable {
        let ended = Mutex<Ended?>(nil)
    }

    /// Begins to watch.
    ///
    /// - Parameters:
    ///   - first: A process.
    ///   - second: The other.
    ///   - whenEnded: Called at most once, by the thread of the watch.
    /// - Throws: `MigrationError` of kind `transfer`.
    init(
        _ first: ProcessHandle, _ second: ProcessHandle,
        whenEnded: @escaping @Sendable (Ended) -> Void
    ) throws(MigrationError) {
        let signal: StopSignal
        do throws(Errno) {
            signal = try StopSignal()
        } catch {
            throw MigrationError(
                .transfer, errno: error,
                "cannot watch the guest's processes: \(error); raise ulimit -n")
        }
        let shared = Shared()
        let failure = DedicatedThread.start(name: "roost-watch") {
            defer { withExtendedLifetime((first, second)) {} }
            let descriptors: [4 of CInt] = [
                first.descriptor.rawValue, second.descriptor.rawValue, -1, -1,
            ]
            while !signal.isRaised {
                let found = signal.wait(orAnyReadable: descriptors, milliseconds: -1)
                guard found != 0 else { continue }
                let which: Ended = found & 1 != 0 ? .first : .second
                shared.ended.withLock { $0 = which }
                whenEnded(which)
                return
            }
        }
        if let failure {
            throw MigrationError(.transfer, errno: failure.errno, failure.description)
        }
        self.signal = signal
        ended = shared
    }

    /// Ends the watch.
    ///
    /// - Returns: Which process ended meanwhile, if one did.
    func stop() -> Ended? {
        signal.raise()
        return ended.ended.withLock { $0 }
    }

    deinit {
        signal.raise()
    }
}
