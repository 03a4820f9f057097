public import Logging
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// A running router.
///
/// It opens its ports, forwards between them, and answers questions about itself, until it is stopped.
/// Workers carry packets and only read its tables; one processor thread writes all of them
/// (``Quiescence`` tells when what was replaced may be used again). Any thread may call any method;
/// those that ask wait for the processor's answer, some milliseconds.
public final class Router: Sendable {
    private struct State {
        var running = 0
        var failure: RouterError?
    }

    let logger: Logger
    private let thread: ProcessorThread
    private let directory: PortDirectory
    private let workers: [Worker]
    private let state = Mutex(State())
    private let ended: StopSignal

    /// Opens the ports of a configuration and begins to forward.
    ///
    /// Blocks for some milliseconds a port.
    ///
    /// - Parameters:
    ///   - configuration: What to run.
    ///   - logger: Where ports' changes by hand and failures are told.
    ///   - isCancelled: Whether the caller no longer wants it; asked before each port and route.
    /// - Returns: The router; frames are being taken.
    /// - Throws: `RouterError` when the configuration is wrong, a port cannot be opened or a bound is
    ///   reached, and of kind `cancelled`; nothing is left open then.
    public static func start(
        _ configuration: RouterConfiguration, logger: Logger,
        unless isCancelled: @Sendable () -> Bool = { false }
    ) throws(RouterError) -> Router {
        try configuration.validate()
        for note in configuration.notes { logger.warning("\(note)") }
        DescriptorLimit.raise()
        return try start(
            configuration, try OpenPort.open(configuration, unless: isCancelled), logger: logger,
            unless: isCancelled)
    }

    /// Finds what would keep a router from starting here, and opens no port.
    ///
    /// Its tables are made and let go, with all routes.
    ///
    /// - Parameters:
    ///   - configuration: What would be run.
    ///   - isCancelled: Whether the caller no longer wants to know.
    /// - Returns: What is to be known besides, a sentence each, such as rights that this process has not.
    /// - Throws: `RouterError` as ``start(_:logger:unless:)``.
    public static func check(
        _ configuration: RouterConfiguration, unless isCancelled: @Sendable () -> Bool = { false }
    ) throws(RouterError) -> [String] {
        try configuration.validate()
        let ports = try OpenPort.standIns(for: configuration)
        _ = try Processor.make(configuration, ports, unless: isCancelled)
        return configuration.notes
            + (try TAPExamination(configuration.namespaces.flatMap(\.ports)).notes)
    }

    /// Begins to forward between ports that are open.
    static func start(
        _ configuration: RouterConfiguration, _ ports: [OpenPort], logger: Logger,
        unless isCancelled: @Sendable () -> Bool = { false }
    ) throws(RouterError) -> Router {
        let processor = try Processor.make(configuration, ports, unless: isCancelled)
        let thread = try ProcessorThread()
        let wake = thread.wake
        var workers: [Worker] = []
        for index in 0..<configuration.workerCount {
            workers.append(
                try Worker(
                    index, of: configuration.workerCount, view: processor.view,
                    directory: processor.directory, frameLimit: processor.frameLimit,
                    traces: processor.traces
                ) { wake.wake() })
        }
        let router = try Router(thread, workers, processor.directory, logger)
        try router.begin(processor)
        return router
    }

    private init(
        _ thread: ProcessorThread, _ workers: [Worker], _ directory: PortDirectory, _ logger: Logger
    ) throws(RouterError) {
        self.thread = thread
        self.directory = directory
        self.workers = workers
        self.logger = logger
        do throws(Errno) {
            ended = try StopSignal()
        } catch {
            throw RouterError(.memory, "cannot make the router's signal: \(error); raise ulimit -n")
        }
    }

    // MARK: Threads

    private func begin(_ processor: consuming sending Processor) throws(RouterError) {
        let rings = workers.map(\.ring)
        let thread = thread
        // The thread's own for as long as it runs; nobody else asks for the lock.
        let owned = Mutex(processor)
        // This thread counts as one until all are started, so that the last one is known.
        state.withLock { $0.running += 1 }
        do throws(RouterError) {
            try start("router") { () throws(RouterError) in
                try owned.withLock { (processor) throws(RouterError) in
                    try thread.run(&processor, rings)
                }
            }
            for worker in workers {
                try start("router-\(worker.index)") { () throws(RouterError) in try worker.run() }
            }
        } catch {
            finish(error)
            return try waitForEnd()
        }
        finish(nil)
    }

    private func start(
        _ name: String, _ body: @escaping @Sendable () throws(RouterError) -> Void
    ) throws(RouterError) {
        state.withLock { $0.running += 1 }
        let failure = DedicatedThread.start(name: name) { [self] in
            do throws(RouterError) {
                try body()
                finish(nil)
            } catch {
                finish(error)
            }
        }
        guard let failure else { return }
        finish(nil)
        throw RouterError(.memory, failure.description)
    }

    /// A thread has ended: the last one ends the router, and a failure stops the others.
    private func finish(_ failure: RouterError?) {
        let isLast = state.withLock { state in
            state.running -= 1
            state.failure = state.failure ?? failure
            return state.running == 0
        }
        if let failure {
            logger.error("the router fails: \(failure)")
            requestStop()
        }
        guard isLast else { return }
        directory.removeAll()
        ended.raise()
    }

    /// Has the router end; returns at once.
    ///
    /// Calling it again does nothing.
    public func requestStop() {
        for worker in workers { worker.stop.raise() }
        thread.stop.raise()
    }

    /// Waits until the router has ended, and its ports are closed.
    ///
    /// - Throws: `RouterError` when it has failed and was not asked to stop.
    public func waitForEnd() throws(RouterError) {
        _ = ended.wait()
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// How many workers there are.
    var workerCount: Int { workers.count }

    /// Has the processor do something, and waits for its answer.
    func ask<Answer: Sendable>(
        _ body: @escaping @Sendable (inout Processor) throws(RouterError) -> Answer
    ) throws(RouterError) -> Answer {
        try thread.commands.run(body)
    }
}
