import RoostHypervisor
import Testing

/// Each limit: reached, and one past it.
struct ServerQuotaTests {
    @Test("1,000 nodes, over all connections of a domain; removing one makes room")
    func nodes() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        let second = store.server.connect(as: DomainID(rawValue: 7), isPrivileged: false)
        // Its folder is the first.
        for index in 1..<1000 {
            let client = index % 2 == 0 ? guest : second
            #expect(store.write(client, "n\(index)", "") == .accepted)
        }
        #expect(store.server.nodeCount(of: DomainID(rawValue: 7)) == 1000)
        #expect(store.write(guest, "more", "") == .refused("ENOSPC"))
        #expect(store.write(second, "more", "") == .refused("ENOSPC"))
        #expect(
            store.ask(guest, .makeDirectory, [UInt8](terminated: "more")) == .refused("ENOSPC"))
        #expect(store.write(guest, "n1", "other") == .accepted)
        #expect(store.write(host, "/local/domain/7/fromhost", "") == .accepted)
        #expect(store.remove(host, "/local/domain/7/fromhost") == .accepted)
        #expect(store.remove(guest, "n1") == .accepted)
        #expect(store.write(guest, "a/b", "") == .refused("ENOSPC"))
        #expect(store.read(guest, "a") == .refused("ENOENT"))
        #expect(store.write(guest, "a", "") == .accepted)
        let other = try store.connect(8)
        #expect(store.write(other, "n", "") == .accepted)
    }

    @Test("Two transactions cannot together make more nodes than one may")
    func nodesByTransactions() throws {
        var limits = StoreLimits()
        limits.nodeCount = 5
        var store = ServerHarness(limits: limits)
        let guest = try store.connect(7)
        let first = store.begin(guest)
        let second = store.begin(guest)
        for index in 0..<4 {
            #expect(store.write(guest, "a\(index)", "", in: first) == .accepted)
            #expect(store.write(guest, "b\(index)", "", in: second) == .accepted)
        }
        #expect(store.write(guest, "a4", "", in: first) == .refused("ENOSPC"))
        #expect(store.end(guest, first) == .accepted)
        #expect(store.end(guest, second) == .refused("ENOSPC"))
        #expect(store.read(guest, "b0") == .refused("ENOENT"))
        #expect(store.server.nodeCount(of: DomainID(rawValue: 7)) == 5)
    }

    @Test("128 watches, over all connections of a domain")
    func watches() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        let second = store.server.connect(as: DomainID(rawValue: 7), isPrivileged: false)
        for index in 0..<128 {
            let client = index % 2 == 0 ? guest : second
            #expect(store.watch(client, "x", "\(index)") == .accepted)
        }
        #expect(store.watch(guest, "x", "more") == .refused("E2BIG"))
        #expect(store.watch(second, "x", "more") == .refused("E2BIG"))
        store.server.disconnect(second)
        #expect(store.watch(guest, "x", "more") == .accepted)
    }

    @Test("2,048 bytes of a value; the privileged may fill a message")
    func values() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        let full = String(repeating: "x", count: 2048)
        #expect(store.write(guest, "x", full) == .accepted)
        #expect(store.read(guest, "x") == .value(full))
        #expect(store.write(guest, "x", full + "x") == .refused("ENOSPC"))
        let message = String(repeating: "x", count: 4096 - "/tool/x".utf8.count - 1)
        #expect(store.write(host, "/tool/x", message) == .accepted)
        #expect(store.read(host, "/tool/x") == .value(message))
    }

    @Test("10 open transactions, over all connections of a domain")
    func transactions() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        let second = store.server.connect(as: DomainID(rawValue: 7), isPrivileged: false)
        var open: [UInt32] = []
        for _ in 0..<5 {
            open.append(store.begin(guest))
            #expect(store.begin(second) != 0)
        }
        #expect(Set(open).count == 5 && !open.contains(0))
        #expect(store.ask(guest, .beginTransaction, [0]) == .refused("ENOSPC"))
        #expect(store.end(guest, open[0], commits: false) == .accepted)
        #expect(store.begin(guest) != 0)
        #expect(store.ask(guest, .beginTransaction, [0]) == .refused("ENOSPC"))
        store.server.disconnect(second)
        #expect(store.begin(guest) != 0)
    }

    @Test("1,024 nodes in a transaction, looked at or changed")
    func transactionNodes() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        let transaction = store.begin(guest)
        // The folder above what is missing counts as the first.
        for index in 1..<1024 {
            #expect(store.read(guest, "n\(index)", in: transaction) == .refused("ENOENT"))
        }
        #expect(store.read(guest, "more", in: transaction) == .refused("ENOSPC"))
        #expect(store.write(guest, "more", "", in: transaction) == .refused("ENOSPC"))
        #expect(store.write(guest, "n1", "1", in: transaction) == .accepted)
        #expect(store.end(guest, transaction) == .accepted)
        #expect(store.read(guest, "n1") == .value("1"))
    }

    @Test("5 entries of permissions")
    func permissions() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        #expect(store.write(guest, "x", "") == .accepted)
        let five = ["n7", "r1", "r2", "r3", "r4"]
        #expect(
            store.setPermissions(guest, "x", five[0], five[1], five[2], five[3], five[4])
                == .accepted)
        #expect(
            store.setPermissions(guest, "x", five[0], five[1], five[2], five[3], five[4], "r5")
                == .refused("ENOSPC"))
    }

    @Test("A path has at most 3,072 bytes, a relative one 2,048, and 128 names")
    func paths() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.write(guest, String(repeating: "x", count: 2048), "") == .accepted)
        #expect(
            store.write(guest, String(repeating: "x", count: 2049), "") == .refused("EINVAL"))
        #expect(store.write(host, "/" + String(repeating: "x", count: 3071), "") == .accepted)
        #expect(
            store.write(host, "/" + String(repeating: "x", count: 3072), "")
                == .refused("EINVAL"))
        let deep = String(repeating: "/x", count: 128)
        #expect(store.write(host, deep, "") == .accepted)
        #expect(store.write(host, deep + "/x", "") == .refused("EINVAL"))
        #expect(store.remove(host, "/x") == .accepted)
    }

    @Test("20 answers wait for a client; its further requests are done once it takes them")
    func outstanding() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        var bytes: [UInt8] = []
        for index in 0..<50 {
            StoreMessage(
                .write, requestID: UInt32(index), payload: [UInt8](terminated: "n\(index)")
            ).encode(into: &bytes)
        }
        let isTaken = store.server.receive(bytes, from: guest)
        #expect(isTaken)
        #expect(store.server.nodeCount(of: DomainID(rawValue: 7)) == 21)
        let messages = store.takeMessages(of: guest)
        #expect(messages.map(\.requestID) == Array(0..<50))
        #expect(store.server.nodeCount(of: DomainID(rawValue: 7)) == 51)
    }

    @Test("A client that sends without end and takes no answers loses its connection")
    func flood() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        let write = StoreMessage(
            .write, payload: [UInt8](terminated: "x") + [UInt8](repeating: 1, count: 2000))
        var sent = 0
        while store.server.receive(write.encoded, from: guest) {
            sent += 1
            guard sent < 1000 else { break }
        }
        #expect(sent > 100 && sent < 200)
        #expect(!store.server.acceptsInput(from: guest))
    }

    @Test("A message of more than 4,096 bytes ends the connection; its client's things go")
    func longMessage() throws {
        var store = ServerHarness()
        let guest = try store.connect(7)
        #expect(store.watch(guest, "x", "t") == .accepted)
        var header = StoreMessage(.read).encoded
        header[13] = 0x10
        header[12] = 0x01
        let isAlive = store.server.receive(header, from: guest)
        #expect(!isAlive)
        store.server.disconnect(guest)
        let isKnown = store.server.receive([0], from: guest)
        #expect(!isKnown)
        let output = store.server.takeOutput(of: guest)
        #expect(output.isEmpty)
    }
}
