import RoostHypervisor
import TestSupport

/// A frontend and a backend with a store between them that holds nothing but their states.
struct HandshakePair {
    var frontend = FrontendHandshake()
    var backend = BackendHandshake()
    /// What stands in the store.
    private var frontendState = XenbusState.initialising
    private var backendState = XenbusState.initialising
    /// How many sets of rings each end has: never more than one.
    private(set) var frontendRings = 0
    private(set) var backendRings = 0
    private var random: SeededRandom

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        carryOutAtBackend(backend.start())
    }

    /// The backend dies and another begins with what stands in the store.
    mutating func restartBackend() {
        backend = BackendHandshake(state: backendState)
        backendRings = 0
        carryOutAtBackend(backend.start())
    }

    /// Tells either end, by chance, what the store holds, until nothing happens any more.
    mutating func run() {
        for _ in 0..<200 {
            if Bool.random(using: &random) {
                tellFrontend()
            } else {
                carryOutAtBackend(backend.frontendChanged(.state(frontendState)))
            }
        }
        tellFrontend()
        carryOutAtBackend(backend.frontendChanged(.state(frontendState)))
    }

    private mutating func tellFrontend() {
        carryOutAtFrontend(frontend.backendChanged(.state(backendState)))
        // A driver that wants its disk back begins anew as soon as it is closed.
        if frontend.state == .closed { carryOutAtFrontend(frontend.reconnect()) }
    }

    private mutating func carryOutAtFrontend(_ actions: [HandshakeAction]) {
        for action in actions {
            switch action {
            case .publish:
                precondition(frontendRings == 0)
                frontendRings = 1
            case .disconnect:
                precondition(frontendRings == 1)
                frontendRings = 0
            case .writeState(let state): frontendState = state
            default: break
            }
        }
    }

    private mutating func carryOutAtBackend(_ actions: [HandshakeAction]) {
        for action in actions {
            switch action {
            case .connect:
                precondition(backendRings == 0)
                backendRings = 1
            case .disconnect:
                precondition(backendRings == 1)
                backendRings = 0
            case .writeState(let state): backendState = state
            default: break
            }
        }
    }
}
