internal import Synchronization

/// The open ports by index: the processor opens and closes them, workers take note between batches.
final class PortDirectory: Sendable {
    private struct State {
        var ports: [(any FramePort)?] = []
        var gone: [(index: PortIndex, port: any FramePort)] = []
        var observers: [@Sendable () -> Void] = []
        /// Of ports whose link has changed whether it is up now.
        var links: [PortIndex: Bool] = [:]
    }

    private let state = Mutex(State())
    private let changes = Atomic<UInt64>(0)

    /// Grows with each change; whoever has seen another number reads ``ports()`` anew.
    var version: UInt64 { changes.load(ordering: .acquiring) }

    /// The ports by index; nil where there is none.
    func ports() -> [(any FramePort)?] { state.withLock { $0.ports } }

    /// The port in a place.
    func port(_ index: PortIndex) -> (any FramePort)? {
        state.withLock { state in
            let place = Int(index.rawValue)
            return place < state.ports.count ? state.ports[place] : nil
        }
    }

    /// Has somebody told of each change from now on, on the thread that makes it.
    func observe(_ observer: @escaping @Sendable () -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Notes that a port will never give or take a frame again, for the processor to remove it.
    func noteGone(_ port: any FramePort, at index: PortIndex) {
        state.withLock { $0.gone.append((index, port)) }
    }

    /// Takes the places of ports that are to be removed.
    func takeGone() -> [PortIndex] {
        state.withLock { state in
            guard !state.gone.isEmpty else { return [] }
            defer { state.gone = [] }
            // Another port may have the place by now.
            return state.gone.filter { gone in
                let place = Int(gone.index.rawValue)
                return place < state.ports.count && state.ports[place] === gone.port
            }.map(\.index)
        }
    }

    /// Notes that a port's device refuses frames, or gives some again, for the processor to take the
    /// port down or up.
    func noteLink(_ index: PortIndex, isUp: Bool) {
        state.withLock { $0.links[index] = isUp }
    }

    /// Takes the ports whose links have changed.
    func takeLinks() -> [PortIndex: Bool] {
        state.withLock { state in
            guard !state.links.isEmpty else { return [:] }
            defer { state.links = [:] }
            return state.links
        }
    }

    /// Puts a port in its place, or nothing.
    func set(_ port: (any FramePort)?, at index: PortIndex) {
        change { ports in
            let place = Int(index.rawValue)
            while ports.count <= place { ports.append(nil) }
            ports[place] = port
        }
    }

    /// Takes all ports out: each closes once nobody uses it.
    func removeAll() {
        change { $0 = [] }
    }

    private func change(_ body: (inout [(any FramePort)?]) -> Void) {
        let observers = state.withLock { state in
            body(&state.ports)
            return state.observers
        }
        changes.wrappingAdd(1, ordering: .releasing)
        for observer in observers { observer() }
    }
}
