internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// One thread of the packet path: it receives batches from its ports, decides about each frame, and
/// sends what can go.
///
/// What it cannot finish alone it hands to the processor through its ``PuntRing``.
final class Worker: Sendable {
    let view: RouterView
    let directory: PortDirectory
    let ring: PuntRing
    /// Which of the workers it is.
    let index: Int
    private let workerCount: Int
    private let frameLimit: Int
    let stop: StopSignal
    private let changed: EventCounter
    private let wakeProcessor: @Sendable () -> Void
    private let traces: TraceLog

    /// Prepares a worker.
    ///
    /// - Parameters:
    ///   - index: Which of the workers it is.
    ///   - count: How many there are; each receives from every so many-th port.
    ///   - view: What it reads.
    ///   - directory: The open ports.
    ///   - frameLimit: The longest frame of any port, in bytes.
    ///   - traces: Where decisions are noted while somebody looks.
    ///   - wakeProcessor: Called after a batch that left something for the processor.
    /// - Throws: `RouterError` of kind `memory`.
    init(
        _ index: Int, of count: Int, view: RouterView, directory: PortDirectory, frameLimit: Int,
        traces: TraceLog, wakeProcessor: @escaping @Sendable () -> Void
    ) throws(RouterError) {
        self.index = index
        workerCount = count
        self.view = view
        self.directory = directory
        self.frameLimit = frameLimit
        self.traces = traces
        self.wakeProcessor = wakeProcessor
        ring = try PuntRing(frameLimit: frameLimit)
        do throws(Errno) {
            stop = try StopSignal()
            changed = try EventCounter.make()
        } catch {
            throw RouterError(.memory, "cannot make a worker's signals: \(error); raise ulimit -n")
        }
        directory.observe { [weak self] in self?.portsChanged() }
    }

    /// Tells the worker that the open ports have changed.
    private func portsChanged() {
        changed.signal()
    }

    /// Works until the worker is told to stop.
    ///
    /// - Throws: `RouterError` of kind `memory` or `port` when it cannot begin or go on.
    func run() throws(RouterError) {
        var round = try WorkerRound(
            view: view, worker: index, frameLimit: frameLimit, ring: ring, traces: traces)
        var ports: [(any FramePort)?] = []
        var seen: UInt64?
        let poller: Poller
        do throws(Errno) {
            poller = try Poller.make()
        } catch {
            throw RouterError(.port, "cannot wait for ports: \(error); raise ulimit -n")
        }
        while !stop.isRaised {
            if seen != directory.version {
                seen = directory.version
                try watch(&ports, poller)
            }
            _ = stop.wait(
                orAnyReadable: [poller.descriptor.rawValue, changed.descriptor.rawValue, -1, -1],
                milliseconds: -1)
            _ = changed.take()
            // At most one batch of each port, so that a stop is seen between them.
            for _ in ports.indices {
                guard let ready = poller.next(), let port = ports[Int(ready.token)] else { break }
                let index = PortIndex(rawValue: UInt16(truncatingIfNeeded: ready.token))
                let now = SystemCollectorClock().ticks()
                if round.receive(from: port, index, sendingTo: ports, now: now) { wakeProcessor() }
                for other in round.refusing { directory.noteLink(other, isUp: false) }
                if round.isFromDown { directory.noteLink(index, isUp: true) }
                if round.isFromDown || !round.refusing.isEmpty { wakeProcessor() }
                if round.state == .gone {
                    poller.remove(port)
                    directory.noteGone(port, at: index)
                    wakeProcessor()
                }
            }
        }
    }

    /// Waits for the worker's share of the ports that are open now.
    private func watch(
        _ ports: inout [(any FramePort)?], _ poller: borrowing Poller
    ) throws(RouterError) {
        let now = directory.ports()
        for (index, port) in ports.enumerated() where index < now.count && now[index] !== port {
            if let port, index % workerCount == self.index { poller.remove(port) }
        }
        for (index, port) in now.enumerated() where index % workerCount == self.index {
            let former = index < ports.count ? ports[index] : nil
            guard let port, port !== former, let descriptor = port.descriptor else { continue }
            do throws(Errno) {
                try poller.add(descriptor, .input, token: UInt64(index))
            } catch {
                throw RouterError(.port, "cannot wait for port \(index): \(error)")
            }
        }
        ports = now
    }
}

extension Poller {
    /// Waits for a port no more.
    fileprivate borrowing func remove(_ port: any FramePort) {
        if let descriptor = port.descriptor { remove(descriptor) }
    }
}
