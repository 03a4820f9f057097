import RoostHypervisor
import SystemPackage
import Testing

/// The two ends' states, one event after the other.
struct HandshakeTests {
    // MARK: Frontend

    @Test("A frontend publishes when its backend waits, and connects when that is connected")
    func frontendConnects() {
        var frontend = FrontendHandshake()
        #expect(frontend.backendChanged(.state(.initialising)) == [])
        #expect(
            frontend.backendChanged(.state(.initialisingWait)) == [
                .publish, .writeState(.initialised),
            ])
        #expect(frontend.backendChanged(.state(.initialisingWait)) == [])
        #expect(
            frontend.backendChanged(.state(.connected)) == [.connect, .writeState(.connected)])
        #expect(frontend.state == .connected)
    }

    @Test("A frontend that sees its backend jump from 1 to 4 publishes and connects")
    func frontendJumps() {
        var frontend = FrontendHandshake()
        #expect(
            frontend.backendChanged(.state(.connected)) == [
                .publish, .writeState(.initialised), .connect, .writeState(.connected),
            ])
    }

    @Test("Connected again is a resize")
    func frontendResizes() {
        var frontend = FrontendHandshake.connected
        #expect(frontend.backendChanged(.state(.connected)) == [.resize])
        #expect(frontend.backendChanged(.state(.connected)) == [.resize])
    }

    @Test("A backend that closes takes the disk away once", arguments: [5, 6])
    func frontendCloses(number: Int) throws {
        var frontend = FrontendHandshake.connected
        let seen = ObservedState.state(try #require(XenbusState(rawValue: number)))
        #expect(frontend.backendChanged(seen) == [.disconnect, .writeState(.closed)])
        #expect(frontend.backendChanged(seen) == [])
        #expect(frontend.backendChanged(.state(.closed)) == [])
        #expect(frontend.state == .closed)
    }

    @Test("States that say nothing to a frontend", arguments: [0, 1, 3, 7, 8])
    func frontendIgnores(number: Int) throws {
        let seen = ObservedState.state(try #require(XenbusState(rawValue: number)))
        for before in [FrontendHandshake(), .connected] {
            var frontend = before
            #expect(frontend.backendChanged(seen) == [])
            #expect(frontend.backendChanged(.invalid("x")) == [])
            #expect(frontend.state == before.state)
        }
    }

    @Test("A closed frontend begins anew: 6, 1, 3, 4")
    func frontendReconnects() {
        var frontend = FrontendHandshake.connected
        _ = frontend.backendChanged(.state(.closed))
        #expect(frontend.backendChanged(.state(.initialisingWait)) == [])
        #expect(
            frontend.reconnect() == [
                .writeState(.initialising), .publish, .writeState(.initialised),
            ])
        #expect(
            frontend.backendChanged(.state(.connected)) == [.connect, .writeState(.connected)])

        _ = frontend.backendChanged(.state(.closed))
        #expect(frontend.reconnect() == [.writeState(.initialising)])
        #expect(
            frontend.backendChanged(.state(.initialisingWait)) == [
                .publish, .writeState(.initialised),
            ])
    }

    @Test("A backend that begins anew under a connected frontend gets new rings")
    func backendRestarts() {
        var frontend = FrontendHandshake.connected
        #expect(
            frontend.backendChanged(.state(.initialisingWait)) == [
                .disconnect, .publish, .writeState(.initialised),
            ])
    }

    @Test("A frontend whose nodes are gone lets go once and writes nothing more")
    func frontendRemoved() {
        var frontend = FrontendHandshake.connected
        #expect(frontend.nodesRemoved() == [.disconnect, .remove])
        #expect(frontend.nodesRemoved() == [])
        #expect(frontend.backendChanged(.state(.closed)) == [])
        #expect(frontend.close() == [])
        #expect(frontend.reconnect() == [])
        #expect(frontend.fail("x") == [])
        var half = FrontendHandshake()
        _ = half.backendChanged(.state(.initialisingWait))
        #expect(half.nodesRemoved() == [.disconnect, .remove])
    }

    @Test("A frontend that fails says why and closes; closing it then is still possible")
    func frontendFails() {
        var frontend = FrontendHandshake()
        _ = frontend.backendChanged(.state(.initialisingWait))
        #expect(
            frontend.fail("no grants") == [
                .report("no grants"), .disconnect, .writeState(.closing),
            ])
        #expect(frontend.backendChanged(.state(.closing)) == [])
        #expect(frontend.backendChanged(.state(.closed)) == [.writeState(.closed)])
        var other = FrontendHandshake.connected
        #expect(other.close() == [.disconnect, .writeState(.closed)])
        #expect(other.close() == [])
    }

    // MARK: Backend

    @Test("A backend waits, connects when the frontend has published, and stays connected")
    func backendConnects() {
        var backend = BackendHandshake()
        #expect(backend.start() == [.announce, .writeState(.initialisingWait)])
        #expect(backend.frontendChanged(.state(.initialising)) == [])
        #expect(
            backend.frontendChanged(.state(.initialised)) == [.connect, .writeState(.connected)])
        #expect(backend.frontendChanged(.state(.connected)) == [])
        #expect(backend.state == .connected)
    }

    @Test("A backend that sees its frontend jump from 1 to 4 connects")
    func backendJumps() {
        var backend = BackendHandshake()
        _ = backend.start()
        #expect(
            backend.frontendChanged(.state(.connected)) == [.connect, .writeState(.connected)])
        #expect(backend.frontendChanged(.state(.connected)) == [])
    }

    @Test("A frontend that closes and begins anew: 5, 6, 1, 3")
    func backendReconnects() {
        var backend = BackendHandshake.connected
        #expect(backend.frontendChanged(.state(.closing)) == [.writeState(.closing)])
        #expect(backend.frontendChanged(.state(.closing)) == [])
        #expect(
            backend.frontendChanged(.state(.closed)) == [.disconnect, .writeState(.closed)])
        #expect(backend.frontendChanged(.state(.closed)) == [])
        #expect(
            backend.frontendChanged(.state(.initialising)) == [
                .announce, .writeState(.initialisingWait),
            ])
        #expect(
            backend.frontendChanged(.state(.initialised)) == [.connect, .writeState(.connected)])
    }

    @Test("A frontend that began anew unseen gets its old rings ended first")
    func backendMissesStates() {
        var backend = BackendHandshake.connected
        _ = backend.frontendChanged(.state(.closing))
        #expect(
            backend.frontendChanged(.state(.initialised)) == [
                .disconnect, .connect, .writeState(.connected),
            ])
    }

    @Test("A closed frontend takes an offline device away, an online one stays")
    func online() {
        var stays = BackendHandshake.connected
        #expect(stays.frontendChanged(.state(.closed)) == [.disconnect, .writeState(.closed)])
        #expect(!stays.isRemoved)
        #expect(stays.onlineChanged(false) == [.remove])
        var goes = BackendHandshake.connected
        #expect(goes.onlineChanged(false) == [])
        #expect(
            goes.frontendChanged(.state(.closed)) == [
                .disconnect, .writeState(.closed), .remove,
            ])
        #expect(goes.frontendChanged(.state(.initialised)) == [])
    }

    @Test("A frontend that is gone, or cannot be read, takes the device away")
    func frontendGone() {
        for errno in [nil, true, false] {
            var backend = BackendHandshake.connected
            let seen =
                errno.map { isMissing in
                    ObservedState.observing(.failure(Self.refusal(isMissing: isMissing)))
                } ?? .state(.unknown)
            guard let seen else {
                Issue.record("EACCES and ENOENT say that the frontend is gone")
                continue
            }
            #expect(
                backend.frontendChanged(seen) == [
                    .disconnect, .writeState(.closed), .remove,
                ])
            #expect(backend.frontendChanged(.state(.initialised)) == [])
        }
    }

    private static func refusal(isMissing: Bool) -> HypervisorError {
        HypervisorError(
            .store, errno: isMissing ? .noSuchFileOrDirectory : .permissionDenied, "refused")
    }

    @Test("States no frontend has are fatal", arguments: [2, 7, 8])
    func backendRefuses(number: Int) throws {
        var backend = BackendHandshake.connected
        let seen = ObservedState.state(try #require(XenbusState(rawValue: number)))
        let actions = backend.frontendChanged(seen)
        try #require(actions.count == 3)
        guard case .report(let reason) = actions[0] else {
            Issue.record("the reason comes first")
            return
        }
        #expect(reason.contains("\(number)"))
        #expect(actions.dropFirst() == [.disconnect, .writeState(.closing)])
        var other = BackendHandshake.connected
        #expect(other.frontendChanged(.invalid("99")).last == .writeState(.closing))
    }

    @Test("A backend whose nodes are removed midway writes nothing more")
    func backendRemoved() {
        for connected in [true, false] {
            var backend = connected ? BackendHandshake.connected : BackendHandshake()
            #expect(backend.nodesRemoved() == (connected ? [.disconnect] : []) + [.remove])
            #expect(backend.nodesRemoved() == [])
            #expect(backend.frontendChanged(.state(.closed)) == [])
            #expect(backend.start() == [])
            #expect(backend.resize() == [])
            #expect(backend.fail("x") == [])
        }
    }

    @Test("Only a connected backend writes a new size")
    func backendResizes() {
        #expect(BackendHandshake().resize() == [])
        #expect(BackendHandshake.connected.resize() == [.resize])
    }

    @Test("A backend that fails to connect says why; a frontend that tries again gets new rings")
    func backendFails() {
        var backend = BackendHandshake()
        _ = backend.start()
        _ = backend.frontendChanged(.state(.initialised))
        #expect(
            backend.fail("no ring-ref") == [
                .report("no ring-ref"), .disconnect, .writeState(.closing),
            ])
        #expect(backend.frontendChanged(.state(.closed)) == [.writeState(.closed)])
        #expect(
            backend.frontendChanged(.state(.initialising)) == [
                .announce, .writeState(.initialisingWait),
            ])
    }

    @Test("A new backend after one that died asks its frontend to begin anew")
    func backendAfterCrash() {
        var backend = BackendHandshake(state: .connected)
        #expect(backend.start() == [.writeState(.closed)])
        var waiting = BackendHandshake(state: .initialisingWait)
        #expect(waiting.start() == [.announce])
    }

    // MARK: Both

    @Test("A state is a number from 0 to 8; a failure that says nothing is none")
    func observation() {
        #expect(ObservedState.observing(.success(Array("4".utf8))) == .state(.connected))
        #expect(ObservedState.observing(.success(Array("9".utf8))) == .invalid("9"))
        #expect(ObservedState.observing(.success(Array("-1".utf8))) == .invalid("-1"))
        #expect(ObservedState.observing(.success([])) == .invalid(""))
        #expect(ObservedState.observing(.failure(HypervisorError(.lost, "gone"))) == nil)
    }

    /// Both ends against each other, told of changes late, twice or folded into one.
    @Test("However the ends' news is delayed, they connect", arguments: 0..<64 as Range<UInt64>)
    func meeting(seed: UInt64) {
        var pair = HandshakePair(seed: seed)
        pair.run()
        #expect(pair.frontend.state == .connected)
        #expect(pair.backend.state == .connected)
        pair.restartBackend()
        pair.run()
        #expect(pair.frontend.state == .connected)
        #expect(pair.backend.state == .connected)
        #expect(pair.frontendRings == 1)
        #expect(pair.backendRings == 1)
    }
}

extension FrontendHandshake {
    /// A frontend that has connected.
    fileprivate static var connected: FrontendHandshake {
        var frontend = FrontendHandshake()
        _ = frontend.backendChanged(.state(.connected))
        return frontend
    }
}

extension BackendHandshake {
    /// A backend that has connected.
    fileprivate static var connected: BackendHandshake {
        var backend = BackendHandshake()
        _ = backend.start()
        _ = backend.frontendChanged(.state(.initialised))
        return backend
    }
}
