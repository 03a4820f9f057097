import RoostHypervisor
import Testing

/// What watches are told.
struct ServerWatchTests {
    @Test("A watch is told at once, and then of the node and all below it")
    func below() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let watcher = store.connectPrivileged()
        #expect(store.watch(watcher, "/tool/a", "t") == .accepted)
        #expect(store.takeEvents(of: watcher) == ["/tool/a t"])
        for path in ["/tool/a", "/tool/a/b/c", "/tool/ab", "/tool"] {
            #expect(store.write(host, path, "1") == .accepted)
        }
        #expect(store.takeEvents(of: watcher) == ["/tool/a t", "/tool/a/b/c t"])
    }

    @Test("A watch on a relative path is told relative paths")
    func relative() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.watch(guest, "data", "r") == .accepted)
        #expect(store.watch(guest, "/local/domain/7/data", "a") == .accepted)
        #expect(
            Set(store.takeEvents(of: guest)) == ["data r", "/local/domain/7/data a"])
        #expect(store.write(host, "/local/domain/7/data/x", "1") == .accepted)
        #expect(
            Set(store.takeEvents(of: guest)) == ["data/x r", "/local/domain/7/data/x a"])
        #expect(store.ask(guest, .unwatch, [UInt8](terminated: "data", "r")) == .accepted)
        #expect(store.write(guest, "data/x", "2") == .accepted)
        #expect(store.takeEvents(of: guest) == ["/local/domain/7/data/x a"])
    }

    @Test("When a node above it is removed, a watch is told the path it is on")
    func ancestorRemoved() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let backend = try store.connect(2)
        let frontend = try store.connect(7)
        #expect(store.write(frontend, "device/vbd/1/state", "4") == .accepted)
        for path in ["/local/domain/7", "/local/domain/7/device", "/local/domain/7/device/vbd/1"] {
            #expect(store.setPermissions(host, path, "n7", "r2") == .accepted)
        }
        #expect(
            store.setPermissions(host, "/local/domain/7/device/vbd/1/state", "n7", "r2")
                == .accepted)
        let state = "/local/domain/7/device/vbd/1/state"
        #expect(store.watch(backend, state, "s") == .accepted)
        #expect(store.watch(backend, "/local/domain/7/device/none", "n") == .accepted)
        _ = store.takeEvents(of: backend)
        #expect(store.remove(host, "/local/domain/7") == .accepted)
        #expect(store.takeEvents(of: backend) == ["\(state) s"])
        #expect(store.read(backend, state) == .refused("EACCES"))
    }

    @Test("Who cannot read a node is not told of it, but of its loss of the right to")
    func permissions() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.write(host, "/tool/x", "1") == .accepted)
        #expect(store.watch(guest, "/tool/x", "t") == .accepted)
        #expect(store.takeEvents(of: guest) == ["/tool/x t"])
        #expect(store.write(host, "/tool/x", "2") == .accepted)
        #expect(store.takeEvents(of: guest).isEmpty)
        #expect(store.setPermissions(host, "/tool/x", "r0") == .accepted)
        #expect(store.takeEvents(of: guest) == ["/tool/x t"])
        #expect(store.setPermissions(host, "/tool/x", "n0") == .accepted)
        #expect(store.takeEvents(of: guest) == ["/tool/x t"])
        #expect(store.remove(host, "/tool/x") == .accepted)
        #expect(store.takeEvents(of: guest).isEmpty)
    }

    @Test("An event that waits is not added twice, and comes again once it was taken")
    func coalescing() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let watcher = store.connectPrivileged()
        #expect(store.watch(watcher, "/tool", "t") == .accepted)
        _ = store.takeEvents(of: watcher)
        for _ in 0..<1000 {
            #expect(store.write(host, "/tool/x", "1") == .accepted)
        }
        #expect(store.takeEvents(of: watcher) == ["/tool/x t"])
        #expect(store.write(host, "/tool/x", "1") == .accepted)
        #expect(store.takeEvents(of: watcher) == ["/tool/x t"])
    }

    @Test("A client that does not read keeps a bounded number of events, and loses no watch")
    func boundedEvents() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let watcher = store.connectPrivileged()
        #expect(store.watch(watcher, "/tool/a", "a") == .accepted)
        #expect(store.watch(watcher, "/tool/b", "b") == .accepted)
        _ = store.takeEvents(of: watcher)
        for index in 0..<3000 {
            #expect(store.write(host, "/tool/a/\(index)", "1") == .accepted)
        }
        #expect(store.write(host, "/tool/b/x", "1") == .accepted)
        let events = store.takeEvents(of: watcher)
        #expect(events.count <= 1025)
        #expect(events.contains("/tool/a a"))
        #expect(events.contains("/tool/b/x b"))
    }

    @Test("After UNWATCH nothing comes, not even what waited")
    func unwatch() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        #expect(store.watch(guest, "x", "t") == .accepted)
        #expect(store.watch(guest, "x", "t") == .refused("EEXIST"))
        #expect(store.watch(guest, "x", "u") == .accepted)
        _ = store.takeEvents(of: guest)
        #expect(store.ask(guest, .unwatch, [UInt8](terminated: "x", "t")) == .accepted)
        #expect(store.ask(guest, .unwatch, [UInt8](terminated: "x", "t")) == .refused("ENOENT"))
        #expect(store.write(guest, "x", "1") == .accepted)
        #expect(store.takeEvents(of: guest) == ["x u"])
    }

    @Test("Domains' comings and goings are told to the privileged, and to whom these allow it")
    func domains() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.watch(host, "@releaseDomain", "r") == .accepted)
        #expect(store.watch(guest, "@releaseDomain", "r") == .accepted)
        _ = store.takeEvents(of: host)
        _ = store.takeEvents(of: guest)
        _ = try store.connect(8)
        store.server.domainDied(DomainID(rawValue: 8))
        #expect(store.takeEvents(of: host) == ["@releaseDomain r"])
        #expect(store.takeEvents(of: guest).isEmpty)
        #expect(store.permissions(guest, "@releaseDomain") == .refused("EACCES"))
        #expect(store.setPermissions(guest, "@releaseDomain", "r7") == .refused("EACCES"))
        #expect(store.setPermissions(host, "@releaseDomain", "n0", "r7") == .accepted)
        _ = try store.connect(8)
        store.server.domainDied(DomainID(rawValue: 8))
        #expect(store.takeEvents(of: guest) == ["@releaseDomain r"])
    }

    @Test("A disconnected client's watches are gone, and nobody else's")
    func disconnected() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let one = try store.connect(7)
        let two = store.server.connect(as: DomainID(rawValue: 7), isPrivileged: false)
        #expect(store.watch(one, "x", "t") == .accepted)
        #expect(store.watch(two, "x", "t") == .accepted)
        store.server.disconnect(one)
        _ = store.takeEvents(of: two)
        #expect(store.write(host, "/local/domain/7/x", "1") == .accepted)
        #expect(store.takeEvents(of: two) == ["x t"])
        #expect(!store.server.pendingConnections.contains(one))
    }
}
