import RoostSystem
import SystemPackage
import Testing

@testable import RoostHypervisor

/// A client over a socket, against the store as a value.
@Suite(.timeLimit(.minutes(1)))
struct StoreClientTests {
    @Test("Nodes are written, read, listed, permitted and removed over a socket")
    func nodes() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        let path = try StorePath("/tool/a")
        try await store.write([1, 0, 2], to: path, in: nil)
        #expect(try await store.read(path, in: nil) == [1, 0, 2])
        try await store.makeDirectory(StorePath("/tool/b"), in: nil)
        #expect(try await store.directory(StorePath("/tool"), in: nil) == ["a", "b", "xenstored"])
        let permissions = StorePermissions(
            owner: DomainID(rawValue: 3), others: .none, listed: [.init(.read, .privileged)])
        try await store.setPermissions(permissions, of: path, in: nil)
        #expect(try await store.permissions(of: path, in: nil) == permissions)
        try await store.remove(path, in: nil)
        #expect(try await store.exists(path) == false)
        #expect(!store.isLost)
    }

    @Test("A refusal says what was tried, the store's reason and what to do")
    func refusal() async throws {
        let pump = StorePump()
        let store = try pump.connect(as: 5, isPrivileged: false)
        do throws(HypervisorError) {
            _ = try await store.read(StorePath("/tool"), in: nil)
            Issue.record("read what it may not")
        } catch {
            #expect(error.kind == .store)
            #expect(error.errno == .permissionDenied)
            #expect(error.description.contains("/tool"))
            #expect(error.description.contains("EACCES"))
            #expect(error.saysNodeIsGone)
        }
    }

    @Test("A list longer than a message is fetched in parts")
    func longList() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        let names = (0..<500).map { "a-rather-long-name-\($0)" }
        for name in names {
            try await store.writeString("", to: StorePath("/tool/many/\(name)"))
        }
        let found = try await store.directory(StorePath("/tool/many"), in: nil)
        #expect(found == names.sorted())
    }

    @Test("Many tasks ask at once, and each gets its own answer")
    func concurrency() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<200 {
                group.addTask {
                    let path = try StorePath("/tool/n\(index)")
                    try await store.writeString("\(index)", to: path)
                    let number = try await store.readInteger(path)
                    #expect(number == index)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("A watch is told at once and of changes, and the end of its iteration ends it")
    func watch() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        let other = try pump.connect()
        let path = try StorePath("/tool/w")
        var seen: [String] = []
        let watch = try await store.watch(path)
        for await changed in watch {
            seen.append(changed.text)
            if seen.count == 1 { try await other.writeString("1", to: StorePath("/tool/w/x")) }
            if seen.count == 2 { break }
        }
        #expect(seen == ["/tool/w", "/tool/w/x"])
        _ = try await store.readString(StorePath("/tool"))
        let watched = pump.withServer { $0.watches.pathCount }
        #expect(watched == 0)
        // The sequence is still there; a second iteration of it finds it ended.
        for await _ in watch {
            Issue.record("an ended watch was told something")
        }
    }

    @Test("A watch that is never iterated ends with its value")
    func unusedWatch() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        do {
            let watch = try await store.watch(StorePath("/tool"))
            let watched = pump.withServer { $0.watches.pathCount }
            #expect(watched == 1)
            _ = consume watch
        }
        _ = try await store.readString(StorePath("/tool"))
        let watched = pump.withServer { $0.watches.pathCount }
        #expect(watched == 0)
    }

    @Test("Cancelling the task that waits for a watch ends the watch")
    func cancelledWatch() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        let watch = try await store.watch(StorePath("/tool"))
        let (started, signal) = AsyncStream<Void>.makeStream()
        let task = Task {
            var count = 0
            for await _ in watch {
                count += 1
                signal.yield()
            }
            return count
        }
        for await _ in started { break }
        task.cancel()
        #expect(await task.value == 1)
        _ = try await store.readString(StorePath("/tool"))
        let watched = pump.withServer { $0.watches.pathCount }
        #expect(watched == 0)
    }

    @Test("When the connection ends, who waits is told, and watches end")
    func lost() async throws {
        let peer = try ManualPeer()
        let store = peer.client
        async let waiting = Self.failure { () throws(HypervisorError) in
            _ = try await store.read(StorePath("/tool"), in: nil)
        }
        var waited = peer
        _ = try await waited.next()
        async let loss: Void = store.waitUntilLost()
        peer.socket.shutdown(.both)
        #expect(await waiting?.kind == .lost)
        await loss
        #expect(store.isLost)
        let later = await Self.failure { () throws(HypervisorError) in
            _ = try await store.read(StorePath("/tool"), in: nil)
        }
        #expect(later?.kind == .lost)
    }

    @Test("When the store goes, a watch ends")
    func lostWatch() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        var count = 0
        for await _ in try await store.watch(StorePath("/tool")) {
            count += 1
            pump.hangUp()
        }
        #expect(count == 1)
        #expect(store.isLost)
    }

    @Test("Closing a client ends its waits, and its connection")
    func close() async throws {
        let pump = StorePump()
        let store = try pump.connect()
        store.close()
        store.close()
        #expect(store.isLost)
        let failure = await Self.failure { () throws(HypervisorError) in
            _ = try await store.read(StorePath("/tool"), in: nil)
        }
        #expect(failure?.kind == .lost)
        await store.waitUntilLost()
    }

    @Test("A cancelled task does not wait for its answer, and the connection goes on")
    func cancelled() async throws {
        var peer = try ManualPeer()
        let store = peer.client
        let task = Task {
            await Self.failure { () throws(HypervisorError) in
                _ = try await store.read(StorePath("/tool"), in: nil)
            }
        }
        let first = try await peer.next()
        task.cancel()
        #expect(await task.value?.errno == .canceled)
        try peer.answer(first, [1])
        async let second = store.read(StorePath("/tool"), in: nil)
        try peer.answer(try await peer.next(), [2])
        #expect(try await second == [2])
    }

    @Test("A transaction that began for a cancelled task is ended")
    func cancelledTransaction() async throws {
        var peer = try ManualPeer()
        let store = peer.client
        let task = Task {
            await Self.failure { () throws(HypervisorError) in
                _ = try await store.beginTransaction()
            }
        }
        let begin = try await peer.next()
        task.cancel()
        #expect(await task.value?.errno == .canceled)
        try peer.answer(begin, [UInt8](terminated: "77"))
        let end = try await peer.next()
        #expect(end.type == .endTransaction)
        #expect(end.transactionID == 77)
        #expect(end.payload == [UInt8](terminated: "F"))
    }

    @Test("16 requests are on their way at once, 1,024 wait, and one more is refused")
    func bounded() async throws {
        var peer = try ManualPeer()
        let store = peer.client
        let path = try StorePath("/tool")
        let total = StoreExchange.inFlightLimit + StoreExchange.queueLimit
        let outcomes = await withTaskGroup(of: Errno?.self, returning: [Errno?].self) { group in
            for _ in 0..<total + 1 {
                group.addTask {
                    let failure = await Self.failure { () throws(HypervisorError) in
                        _ = try await store.read(path, in: nil)
                    }
                    return failure?.errno
                }
            }
            // The first to end is the one too many.
            var outcomes = [await group.next() ?? nil]
            var answered = 0
            while answered < total, let request = try? await peer.next() {
                answered += 1
                try? peer.answer(request)
            }
            for await outcome in group {
                outcomes.append(outcome)
            }
            return outcomes
        }
        #expect(outcomes.count == total + 1)
        #expect(outcomes.first == .some(.noBufferSpace))
        #expect(outcomes.dropFirst().allSatisfy { $0 == nil })
    }

    @Test("No more than 16 requests go out before an answer comes")
    func window() async throws {
        var peer = try ManualPeer()
        let store = peer.client
        let path = try StorePath("/tool")
        let tasks = (0..<20).map { _ in Task { try await store.read(path, in: nil) } }
        var requests: [StoreMessage] = []
        for _ in 0..<16 {
            requests.append(try await peer.next())
        }
        #expect(!peer.hasMore())
        try peer.answer(requests[7], [9])
        let next = try await peer.next()
        #expect(!requests.map(\.requestID).contains(next.requestID))
        #expect(!peer.hasMore())
        for request in requests where request != requests[7] {
            try peer.answer(request, [9])
        }
        try peer.answer(next, [9])
        for _ in 0..<3 {
            try peer.answer(try await peer.next(), [9])
        }
        for task in tasks {
            #expect(try await task.value == [9])
        }
    }

    @Test("A message that no store may send ends the connection")
    func malformed() async throws {
        let peer = try ManualPeer()
        try peer.send([UInt8](repeating: 0xff, count: 16))
        await peer.client.waitUntilLost()
        #expect(peer.client.exchange.loss?.description.contains("4294967295") == true)
    }

    @Test("A descriptor that is no socket is written to as well")
    func device() throws {
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        let reading = OwnedDescriptor(readEnd)
        let line = try StoreLine(StreamSocket(OwnedDescriptor(writeEnd)))
        for text in ["abc", "def"] {
            let failure = line.send(Array(text.utf8))
            #expect(failure == nil)
        }
        var queue = [UInt8](repeating: 0, count: 6)
        let count = try unsafe queue.withUnsafeMutableBytes {
            try unsafe reading.descriptor.read(into: $0)
        }
        #expect(count == 6)
        #expect(queue == Array("abcdef".utf8))
    }

    @Test("A socket path where nothing listens is named")
    func nobodyListens() async {
        let failure = await Self.failure { () throws(HypervisorError) in
            _ = try await StoreClient.connect(path: "/nonexistent/store")
        }
        #expect(failure?.kind == .system)
        #expect(failure?.description.contains("/nonexistent/store") == true)
    }

    /// What an operation throws.
    static func failure(
        _ body: () async throws(HypervisorError) -> Void
    ) async -> HypervisorError? {
        do throws(HypervisorError) {
            try await body()
            return nil
        } catch {
            return error
        }
    }
}
