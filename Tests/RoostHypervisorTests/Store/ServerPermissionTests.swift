import RoostHypervisor
import Testing

/// Who may do what.
struct ServerPermissionTests {
    @Test("A domain neither reads nor writes what is another's")
    func refused() throws {
        var store = ServerHarness()
        let first = try store.connect(1)
        let second = try store.connect(2)
        #expect(store.write(first, "secret", "1") == .accepted)
        let path = "/local/domain/1/secret"
        #expect(store.read(second, path) == .refused("EACCES"))
        #expect(store.write(second, path, "2") == .refused("EACCES"))
        #expect(store.remove(second, path) == .refused("EACCES"))
        #expect(store.list(second, path) == .refused("EACCES"))
        #expect(store.permissions(second, path) == .refused("EACCES"))
        #expect(store.setPermissions(second, path, "n2") == .refused("EACCES"))
        // Nor does it learn whether there is something.
        #expect(store.read(second, "/local/domain/1/nothing") == .refused("EACCES"))
        #expect(store.read(second, "/nothing") == .refused("EACCES"))
        #expect(store.write(second, "/tool/x", "1") == .refused("EACCES"))
        #expect(store.read(first, "secret") == .value("1"))
    }

    @Test("The listed may do what their letter says, the others what the owner's says")
    func letters() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guests = try (1...5).map { try store.connect(UInt16($0)) }
        #expect(store.write(host, "/tool/x", "1") == .accepted)
        #expect(store.setPermissions(host, "/tool/x", "w1", "r2", "b3", "n4") == .accepted)
        let mayRead = [true, true, true, false, false]
        let mayWrite = [true, false, true, false, true]
        for (index, guest) in guests.enumerated() {
            #expect(
                store.read(guest, "/tool/x") == (mayRead[index] ? .value("1") : .refused("EACCES")))
            let answer = store.write(guest, "/tool/x", "1")
            #expect(answer == (mayWrite[index] ? .accepted : .refused("EACCES")))
        }
        #expect(store.permissions(guests[1], "/tool/x") == .texts("w1", "r2", "b3", "n4"))
    }

    @Test("A new node has its parent's permissions, and an ordinary writer owns it")
    func inheritance() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.setPermissions(host, "/local/domain/7", "r7", "b3") == .accepted)
        #expect(store.write(guest, "a/b", "1") == .accepted)
        #expect(store.permissions(guest, "a/b") == .texts("r7", "b3"))
        #expect(store.write(host, "/tool/shared", "") == .accepted)
        #expect(store.setPermissions(host, "/tool/shared", "n0", "w7") == .accepted)
        #expect(store.write(guest, "/tool/shared/mine", "1") == .accepted)
        #expect(store.permissions(guest, "/tool/shared/mine") == .texts("n7", "w7"))
        #expect(store.write(host, "/local/domain/7/fromhost", "1") == .accepted)
        #expect(store.permissions(host, "/local/domain/7/fromhost") == .texts("r7", "b3"))
    }

    @Test("Only the owner sets permissions, and does not give the node away")
    func ownership() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.write(guest, "x", "1") == .accepted)
        #expect(store.setPermissions(guest, "x", "n7", "r2") == .accepted)
        #expect(store.setPermissions(guest, "x", "n2") == .refused("EPERM"))
        #expect(store.setPermissions(host, "/local/domain/7/x", "n2", "b7") == .accepted)
        #expect(store.setPermissions(guest, "x", "n7") == .refused("EACCES"))
    }

    @Test("When a domain dies its peers get EACCES, and a later domain of its number nothing")
    func death() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let backend = try store.connect(2)
        let frontend = try store.connect(7)
        #expect(store.write(frontend, "device/state", "4") == .accepted)
        #expect(store.setPermissions(frontend, "device/state", "r7") == .accepted)
        #expect(store.write(backend, "backend/state", "4") == .accepted)
        #expect(store.setPermissions(backend, "backend/state", "n2", "r7") == .accepted)
        #expect(store.read(backend, "/local/domain/7/device/state") == .value("4"))

        store.server.domainDied(DomainID(rawValue: 7))
        #expect(store.read(backend, "/local/domain/7/device/state") == .refused("EACCES"))
        #expect(store.permissions(host, "/local/domain/7/device/state") == .texts("n0"))
        #expect(store.permissions(backend, "backend/state") == .texts("n2"))
        #expect(store.server.nodeCount(of: DomainID(rawValue: 7)) == 0)
        #expect(store.remove(host, "/local/domain/7") == .accepted)
        #expect(store.read(backend, "/local/domain/7/device/state") == .refused("EACCES"))
        #expect(store.read(frontend, "device/state") == .none)

        let later = try store.connect(7)
        #expect(store.read(later, "/local/domain/2/backend/state") == .refused("EACCES"))
        #expect(store.read(later, "device/state") == .refused("ENOENT"))
    }

    @Test("A permission given in a transaction does not outlive the domain it is for")
    func deathInTransaction() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        _ = try store.connect(7)
        let transaction = store.begin(host)
        #expect(store.write(host, "/tool/new", "1", in: transaction) == .accepted)
        #expect(
            store.setPermissions(host, "/tool/new", "n0", "r7", in: transaction) == .accepted)
        store.server.domainDied(DomainID(rawValue: 7))
        #expect(store.end(host, transaction) == .refused("EAGAIN"))
        #expect(store.read(host, "/tool/new") == .refused("ENOENT"))
    }
}
