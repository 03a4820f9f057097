import RoostHypervisor
import Testing

/// Transactions of several clients.
struct ServerTransactionTests {
    @Test("A transaction sees the store as it was, and its own writes; others see them at its end")
    func isolation() throws {
        var store = ServerHarness()
        let one = store.connectPrivileged()
        let two = store.connectPrivileged()
        #expect(store.write(one, "/tool/a", "old") == .accepted)
        let transaction = store.begin(one)
        #expect(store.write(two, "/tool/b", "later") == .accepted)
        #expect(store.read(one, "/tool/b", in: transaction) == .refused("ENOENT"))
        #expect(store.write(one, "/tool/c/d", "mine", in: transaction) == .accepted)
        #expect(store.read(one, "/tool/c/d", in: transaction) == .value("mine"))
        #expect(store.read(two, "/tool/c/d") == .refused("ENOENT"))
        // It relied on there being no b, and there is one now.
        #expect(store.end(one, transaction) == .refused("EAGAIN"))
        #expect(store.read(two, "/tool/c") == .refused("ENOENT"))
        #expect(store.end(one, transaction) == .refused("ENOENT"))
    }

    @Test("Ending with F leaves nothing")
    func abandoned() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let transaction = store.begin(host)
        #expect(store.write(host, "/tool/a", "1", in: transaction) == .accepted)
        #expect(store.end(host, transaction, commits: false) == .accepted)
        #expect(store.read(host, "/tool/a") == .refused("ENOENT"))
    }

    /// What the transaction does, what another client does meanwhile, and whether they conflict.
    static let meetings: [(mine: [String], other: [String], isConflict: Bool)] = [
        (["read /tool/a"], ["write /tool/a"], true),
        (["write /tool/a"], ["write /tool/a"], true),
        (["write /tool/a"], ["permit /tool/a"], true),
        (["write /tool/a"], ["remove /tool/a"], true),
        (["write /tool/new"], ["write /tool/new"], true),
        (["write /tool/new/x"], ["write /tool/new/y"], true),
        (["list /tool"], ["write /tool/new"], true),
        (["list /tool"], ["remove /tool/a"], true),
        (["remove /tool/dir"], ["write /tool/dir/x"], true),
        (["remove /tool/dir"], ["write /tool/dir/new"], true),
        (["read /tool/none"], ["write /tool/none"], true),
        (["read /tool/none/x"], ["write /tool/none"], true),
        (["write /tool/dir/new"], ["permit /tool/dir"], true),
        (["write /tool/dir/new"], ["remove /tool/dir"], true),
        (["read /tool/a"], ["write /tool/b"], false),
        (["write /tool/a"], ["write /tool/b"], false),
        (["write /tool/new"], ["write /tool/other"], false),
        (["read /tool/dir"], ["write /tool/dir/x"], false),
        (["list /tool"], ["write /tool/a"], false),
        (["write /tool/dir/new"], ["write /tool/dir/other"], false),
        (["remove /tool/dir"], ["write /tool/a"], false),
    ]

    @Test("What was read or written must not have changed; all else may", arguments: 0..<21)
    func conflicts(row: Int) throws {
        let meeting = Self.meetings[row]
        var store = ServerHarness()
        let one = store.connectPrivileged()
        let two = store.connectPrivileged()
        for path in ["/tool/a", "/tool/b", "/tool/dir/x"] {
            #expect(store.write(one, path, "old") == .accepted)
        }
        let transaction = store.begin(one)
        for step in meeting.mine {
            Self.take(step, one, &store, transaction)
        }
        for step in meeting.other {
            Self.take(step, two, &store, 0)
        }
        let end = store.end(one, transaction)
        #expect(end == (meeting.isConflict ? .refused("EAGAIN") : .accepted))
    }

    private static func take(
        _ step: String, _ client: StoreConnectionID, _ store: inout ServerHarness,
        _ transaction: UInt32
    ) {
        let words = step.split(separator: " ").map(String.init)
        switch words[0] {
        case "read": _ = store.read(client, words[1], in: transaction)
        case "list": _ = store.list(client, words[1], in: transaction)
        case "remove": #expect(store.remove(client, words[1], in: transaction) == .accepted)
        case "permit":
            #expect(
                store.setPermissions(client, words[1], "r0", in: transaction) == .accepted)
        default: #expect(store.write(client, words[1], "new", in: transaction) == .accepted)
        }
    }

    @Test("The first of two that write the same node wins, the second begins anew")
    func twoWriters() throws {
        var store = ServerHarness()
        let one = store.connectPrivileged()
        let two = store.connectPrivileged()
        #expect(store.write(one, "/tool/count", "0") == .accepted)
        let first = store.begin(one)
        let second = store.begin(two)
        #expect(store.read(one, "/tool/count", in: first) == .value("0"))
        #expect(store.read(two, "/tool/count", in: second) == .value("0"))
        #expect(store.write(one, "/tool/count", "1", in: first) == .accepted)
        #expect(store.write(two, "/tool/count", "1", in: second) == .accepted)
        #expect(store.end(one, first) == .accepted)
        #expect(store.end(two, second) == .refused("EAGAIN"))
        let again = store.begin(two)
        #expect(store.read(two, "/tool/count", in: again) == .value("1"))
        #expect(store.write(two, "/tool/count", "2", in: again) == .accepted)
        #expect(store.end(two, again) == .accepted)
        #expect(store.read(one, "/tool/count") == .value("2"))
    }

    @Test("The events of a transaction come at its end, one a node, in the order of the writes")
    func eventOrder() throws {
        var store = ServerHarness()
        let one = store.connectPrivileged()
        let watcher = store.connectPrivileged()
        #expect(store.write(one, "/tool/gone", "1") == .accepted)
        #expect(store.watch(watcher, "/tool", "t") == .accepted)
        #expect(store.takeEvents(of: watcher) == ["/tool t"])
        let transaction = store.begin(one)
        for path in ["/tool/z", "/tool/a/deep", "/tool/m", "/tool/z"] {
            #expect(store.write(one, path, "1", in: transaction) == .accepted)
        }
        #expect(store.remove(one, "/tool/gone", in: transaction) == .accepted)
        #expect(store.takeEvents(of: watcher).isEmpty)
        #expect(store.end(one, transaction) == .accepted)
        #expect(
            store.takeEvents(of: watcher) == [
                "/tool/z t", "/tool/a/deep t", "/tool/m t", "/tool/gone t",
            ])
    }

    @Test("A node removed and made again in a transaction has lost its children")
    func replaced() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        #expect(store.write(host, "/tool/a/old/x", "1") == .accepted)
        let transaction = store.begin(host)
        #expect(store.remove(host, "/tool/a", in: transaction) == .accepted)
        #expect(store.write(host, "/tool/a/new", "2", in: transaction) == .accepted)
        #expect(store.end(host, transaction) == .accepted)
        #expect(store.list(host, "/tool/a") == .texts("new"))
        #expect(store.read(host, "/tool/a/new") == .value("2"))
    }

    @Test("Transactions do not nest, and unknown ones are ENOENT")
    func numbers() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let other = store.connectPrivileged()
        let transaction = store.begin(host)
        #expect(store.ask(host, .beginTransaction, [0], in: transaction) == .refused("EBUSY"))
        #expect(store.read(host, "/tool", in: transaction + 1) == .refused("ENOENT"))
        #expect(store.end(other, transaction) == .refused("ENOENT"))
        #expect(store.end(host, 0) == .refused("ENOENT"))
        let bad = store.ask(host, .endTransaction, [UInt8(ascii: "X"), 0], in: transaction)
        #expect(bad == .refused("EINVAL"))
        #expect(store.end(host, transaction) == .accepted)
    }
}
