import Logging
import RoostSystem
import SystemPackage
import Testing

@testable import RoostRouter

@Suite("The router's threads")
struct RouterThreadTests {
    /// Six links, two workers.
    private static func links() -> RouterConfiguration {
        var namespace = NamespaceConfiguration(name: "main")
        namespace.ports = (1...6).map { RouterLayouts.port("port\($0)", ["10.0.\($0).1/24"]) }
        var configuration = RouterConfiguration(namespaces: [namespace])
        configuration.workerCount = 2
        return configuration
    }

    @Test("NET-2, NET-7: frames flow while others ask, flush and take ports down, and all ends")
    func together() async throws {
        let live = try LiveRouter(Self.links())
        let router = live.router
        try await withThrowingTaskGroup { group in
            // Each flow has two hosts, one behind each worker's ports.
            for (source, destination) in [(0, 1), (3, 2)] {
                group.addTask {
                    try await DedicatedThread.run(name: "flow") {
                        let address = "10.0.\(destination + 1).2"
                        let frame = TestFrames.udp(
                            from: "10.0.\(source + 1).2", to: address, host: source, port: source)
                        for _ in 0..<200 {
                            let hasCome = try live.carry(
                                frame, from: source, to: destination, of: address)
                            #expect(hasCome)
                        }
                    }
                }
            }
            group.addTask {
                try await DedicatedThread.run(name: "questions") {
                    for _ in 0..<100 {
                        #expect(try router.snapshot().namespaces.count == 1)
                        #expect(try router.routes(in: "main", limit: 100).total > 0)
                        #expect(try router.destinations(in: nil, limit: 100).total > 0)
                        _ = try router.neighbours(in: nil, limit: 100)
                        _ = try router.trace([.packets, .collector], after: 0, limit: 100)
                    }
                }
            }
            group.addTask {
                try await DedicatedThread.run(name: "changes") {
                    for _ in 0..<50 {
                        try router.setPort("port5", .down)
                        _ = try router.flush(FlushSelector())
                        try router.setPort("port5", .up)
                    }
                    try router.setPort("port6", .remove)
                }
            }
            try await group.waitForAll()
        }
        #expect(
            try router.snapshot().namespaces[0].ports.map(\.state) == [.up, .up, .up, .up, .up])
        router.requestStop()
        try router.waitForEnd()
    }

    @Test("each packet for the router wakes the processor")
    func wakes() throws {
        let live = try LiveRouter(Self.links())
        try live.send(
            TestFrames.arpRequest(for: "10.0.1.1", from: "10.0.1.2", host: 0), fromHost: 0)
        #expect(try live.receive(atHost: 0, milliseconds: 10_000).count == 1)
        let echo = TestFrames.echo(from: "10.0.1.2", to: "10.0.1.1", host: 0, port: 0)
        for _ in 0..<500 {
            try live.send(echo, fromHost: 0)
            // Sooner than the processor would look by itself, were it not woken: each time.
            try #require(try live.receive(atHost: 0, milliseconds: 10_000).count == 1)
        }
        live.router.requestStop()
        try live.router.waitForEnd()
    }

    @Test("a signal that comes late ends one wait of the processor, not all")
    func lateSignal() throws {
        let wake = ProcessorWake(try EventCounter.make())
        let poller = try Poller.make()
        try poller.add(wake.descriptor, .input, token: 1)
        wake.wake()
        #expect(poller.next() != nil)
        wake.clear()
        #expect(poller.next() == nil)
        // Who found none pending before that signals now.
        #expect(try wake.descriptor.writeAll([1, 0, 0, 0, 0, 0, 0, 0]) == 8)
        #expect(poller.next() != nil)
        wake.clear()
        #expect(poller.next() == nil)
        wake.wake()
        #expect(poller.next() != nil)
    }

    @Test("NET-7: a port whose cable is gone is removed, and its place is left by every thread")
    func cableGone() throws {
        let live = try LiveRouter(Self.links())
        live.close(host: 5)
        var count = 6
        for _ in 0..<1_000 where count > 5 {
            count = try live.router.snapshot().namespaces[0].ports.count
        }
        #expect(count == 5)
        live.router.requestStop()
        try live.router.waitForEnd()
    }

    @Test("whoever asks while the router ends is answered or refused")
    func stopping() async throws {
        let live = try LiveRouter(Self.links())
        let router = live.router
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    try await DedicatedThread.run(name: "questions") {
                        var refusal: RouterError?
                        while refusal == nil {
                            do throws(RouterError) {
                                _ = try router.snapshot()
                            } catch {
                                refusal = error
                            }
                        }
                        #expect(refusal?.kind == .notFound)
                    }
                }
            }
            group.addTask {
                try await DedicatedThread.run(name: "stop") {
                    _ = try router.snapshot()
                    router.requestStop()
                    router.requestStop()
                }
            }
            try await group.waitForAll()
        }
        try router.waitForEnd()
    }

    @Test("a router that has ended has let its ports go, though somebody keeps it")
    func portsClose() throws {
        weak var kept: MemoryPort?
        let router: Router
        do {
            let (mine, _) = try MemoryPort.pair(workerCount: 3, isWaitable: true)
            kept = mine
            var configuration = Self.links()
            configuration.namespaces[0].ports.removeSubrange(1...)
            router = try Router.start(
                configuration,
                [
                    OpenPort(
                        configuration: configuration.namespaces[0].ports[0],
                        namespace: NamespaceIndex(rawValue: 0), port: mine, kind: .memory,
                        place: "memory", mac: RouterRig.mac(ofPort: 0))
                ], logger: Logger(label: "router"))
        }
        #expect(kept != nil)
        router.requestStop()
        try router.waitForEnd()
        #expect(kept == nil)
        #expect(throws: RouterError.self) { try router.snapshot() }
    }
}
