public import Logging
package import RoostSystem
internal import SystemPackage

/// The embedded hypervisor: owns the store, the event channels, the grant tables and the memory
/// that domains share, for processes on a machine without Xen.
///
/// It listens on two unix sockets in one folder. Domains connect to the first
/// (``EmbeddedDomain``); the second speaks xenstore's wire protocol with all privileges, for tools.
/// Only the user that it runs as, and root, may connect. One thread does all; it copies no data and
/// is asked nothing while disks run: granting and revoking are writes to shared tables, events are
/// writes to event descriptors.
///
/// When a domain's process ends, its grants, channels, watches and transactions go at once, and
/// nobody else's; the other ends of its channels wait for a successor. When the hypervisor ends,
/// all domains see it at once; what they have mapped stays memory until they let it go.
public final class EmbeddedHypervisor: Sendable {
    /// How a hypervisor runs.
    public struct Options: Sendable {
        /// After how long without a domain it ends by itself; `nil`: never.
        public var exitsWhenIdle: Duration?
        /// Where it says who comes and goes.
        public var logger: Logger

        /// Describes how a hypervisor runs.
        public init(
            exitsWhenIdle: Duration? = nil, logger: Logger = Logger(label: "roost.hypervisor")
        ) {
            self.exitsWhenIdle = exitsWhenIdle
            self.logger = logger
        }
    }

    /// Where it is.
    public let location: HypervisorLocation
    private let stopSignal: StopSignal
    private let ended: Semaphore

    /// Starts a hypervisor on a thread of its own.
    ///
    /// - Parameters:
    ///   - location: Where; the folder is made if it is missing, a dead hypervisor's sockets are
    ///     replaced.
    ///   - options: How.
    /// - Throws: `HypervisorError` of kind `system`, also when one is running there.
    public init(
        at location: HypervisorLocation, options: Options = Options()
    ) throws(HypervisorError) {
        self.location = location
        stopSignal = try Self.makeSignal()
        ended = try Self.makeSemaphore()
        let loop = LoopOnItsWay(try HypervisorLoop(at: location, options: options))
        let failure = DedicatedThread.start(name: "hypervisor") { [stopSignal, ended] in
            loop.take()?.run(until: stopSignal)
            ended.signal()
        }
        if let failure {
            throw HypervisorError(.system, errno: failure.errno, failure.description)
        }
    }

    /// Starts a hypervisor in a folder.
    ///
    /// - Parameters:
    ///   - directory: Where its sockets go.
    ///   - options: How it runs.
    /// - Throws: `HypervisorError` of kind `system`, also when one is running there.
    public convenience init(
        directory: String, options: Options = Options()
    ) throws(HypervisorError) {
        try self.init(at: HypervisorLocation(directory: directory), options: options)
    }

    /// Ends the hypervisor and waits until it has: its domains see their connections end.
    public func stop() {
        stopSignal.raise()
        ended.wait()
        ended.signal()
    }

    /// Runs a hypervisor on the calling thread.
    ///
    /// It takes as many descriptors as the process is allowed to have.
    ///
    /// - Parameters:
    ///   - location: Where.
    ///   - options: How.
    ///   - stop: Ends it when raised.
    ///   - whenReady: Is called once domains can connect.
    /// - Throws: `HypervisorError` of kind `system`, also when one is running there.
    package static func run(
        at location: HypervisorLocation, options: Options = Options(), until stop: StopSignal,
        whenReady: () -> Void = {}
    ) throws(HypervisorError) {
        DescriptorLimit.raise()
        let loop = try HypervisorLoop(at: location, options: options)
        whenReady()
        loop.run(until: stop)
    }

    private static func makeSignal() throws(HypervisorError) -> StopSignal {
        do throws(Errno) {
            return try StopSignal()
        } catch {
            throw HypervisorError(
                .system, errno: error,
                "cannot make an event descriptor: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }

    private static func makeSemaphore() throws(HypervisorError) -> Semaphore {
        do throws(SystemError) {
            return try Semaphore()
        } catch {
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
    }

    deinit {
        stopSignal.raise()
    }
}

/// A loop between the thread that made it and the one that runs it.
private final class LoopOnItsWay: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): the maker keeps no other reference, and one thread takes it.
    private var loop: HypervisorLoop?

    init(_ loop: HypervisorLoop) { self.loop = loop }

    func take() -> HypervisorLoop? { loop.take() }
}
