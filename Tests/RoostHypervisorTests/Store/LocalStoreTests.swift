import Synchronization
import SystemPackage
import Testing

@testable import RoostHypervisor

/// A store in the process, and what is easier with it.
@Suite(.timeLimit(.minutes(1)))
struct LocalStoreTests {
    @Test("Domains meet in it as over the wire")
    func domains() async throws {
        let local = LocalStore()
        local.domainAppeared(DomainID(rawValue: 1))
        local.domainAppeared(DomainID(rawValue: 2))
        let first = local.connect(as: DomainID(rawValue: 1))
        let second = local.connect(as: DomainID(rawValue: 2))
        let path = try StorePath("/local/domain/1/x")
        try await first.writeString("7", to: StorePath("x"))
        let refused = await StoreClientTests.failure { () throws(HypervisorError) in
            _ = try await second.readString(path)
        }
        #expect(refused?.errno == .permissionDenied)
        try await first.setPermissions(
            StorePermissions(
                owner: DomainID(rawValue: 1), listed: [.init(.read, DomainID(rawValue: 2))]),
            of: path, in: nil)
        #expect(try await second.readInteger(path) == 7)
        var values: [Int?] = []
        for await changed in try await second.watch(path) {
            values.append(try await second.readInteger(changed))
            if values.count == 2 { break }
            try await first.writeString("8", to: path)
        }
        #expect(values == [7, 8])
        local.domainDied(DomainID(rawValue: 1))
        #expect(first.isLost)
        #expect(!second.isLost)
    }

    @Test("Texts and numbers are read, absent ones are nil, others are errors")
    func conveniences() async throws {
        let store = LocalStore().connect(as: .privileged, isPrivileged: true)
        let path = try StorePath("/tool/x")
        #expect(try await store.readString(path) == nil)
        #expect(try await store.readInteger(path) == nil)
        #expect(try await store.exists(path) == false)
        for (text, number) in [("12", 12), ("-3", -3), ("0", 0)] {
            try await store.writeString(text, to: path)
            #expect(try await store.readInteger(path) == number)
        }
        for text in ["", "-", "1x", " 1", "99999999999999999999"] {
            try await store.writeString(text, to: path)
            let failure = await StoreClientTests.failure { () throws(HypervisorError) in
                _ = try await store.readInteger(path)
            }
            #expect(failure?.kind == .malformed)
            #expect(failure?.description.contains("/tool/x") == true)
        }
        try await store.write([0xff, 0xfe], to: path, in: nil)
        let failure = await StoreClientTests.failure { () throws(HypervisorError) in
            _ = try await store.readString(path)
        }
        #expect(failure?.kind == .malformed)
    }

    @Test("A transaction is done again when others were in the way, and then counts once")
    func retried() async throws {
        let local = LocalStore()
        let store = local.connect(as: .privileged, isPrivileged: true)
        let other = local.connect(as: .privileged, isPrivileged: true)
        let path = try StorePath("/tool/count")
        try await store.writeString("0", to: path)
        let attempts = Mutex(0)
        let result = try await store.transaction { (transaction) throws(HypervisorError) in
            let number = try await store.readInteger(path, in: transaction) ?? -1
            let attempt = attempts.withLock { attempts in
                attempts += 1
                return attempts
            }
            if attempt <= 2 { try await other.writeString("\(attempt * 10)", to: path) }
            try await store.writeString("\(number + 1)", to: path, in: transaction)
            return number
        }
        #expect(result == 20)
        #expect(attempts.withLock { $0 } == 3)
        #expect(try await store.readInteger(path) == 21)
    }

    @Test("A transaction that is always in conflict is given up after 32 attempts")
    func givenUp() async throws {
        let local = LocalStore()
        let store = local.connect(as: .privileged, isPrivileged: true)
        let other = local.connect(as: .privileged, isPrivileged: true)
        let path = try StorePath("/tool/count")
        let attempts = Mutex(0)
        let failure = await StoreClientTests.failure { () throws(HypervisorError) in
            try await store.transaction { (transaction) throws(HypervisorError) in
                attempts.withLock { $0 += 1 }
                try await store.writeString("mine", to: path, in: transaction)
                try await other.writeString("theirs", to: path)
            }
        }
        #expect(failure?.errno == .resourceTemporarilyUnavailable)
        #expect(failure?.description.contains("32") == true)
        #expect(attempts.withLock { $0 } == 32)
    }

    @Test("A transaction whose body throws is abandoned, though its task is cancelled")
    func abandoned() async throws {
        let local = LocalStore()
        local.domainAppeared(DomainID(rawValue: 1))
        let store = local.connect(as: DomainID(rawValue: 1))
        for _ in 0..<20 {
            let task = Task {
                await StoreClientTests.failure { () throws(HypervisorError) in
                    try await store.transaction { (transaction) throws(HypervisorError) in
                        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                        try await store.writeString("1", to: StorePath("x"), in: transaction)
                    }
                }
            }
            #expect(await task.value?.errno == .canceled)
        }
        // Ten may be open: none is.
        for _ in 0..<10 {
            _ = try await store.beginTransaction()
        }
        #expect(try await store.exists(StorePath("x")) == false)
    }

    @Test("A watch keeps 256 paths that nobody takes; then it says: look at all of it")
    func watchQueue() async throws {
        let root = try StorePath("/tool")
        let queue = StoreWatchQueue(root)
        for index in 0..<256 {
            queue.deliver(try StorePath("/tool/\(index)"))
            queue.deliver(try StorePath("/tool/\(index)"))
        }
        #expect(await queue.next()?.text == "/tool/0")
        queue.deliver(try StorePath("/tool/256"))
        queue.deliver(try StorePath("/tool/257"))
        #expect(await queue.next() == root)
        let isFirst = queue.end()
        #expect(isFirst)
        #expect(await queue.next() == nil)
    }

    @Test("A state is written only where the device's nodes are")
    func state() async throws {
        let store = LocalStore().connect(as: .privileged, isPrivileged: true)
        let device = try StorePath("/tool/device")
        #expect(try await store.writeState(.connected, of: device) == false)
        #expect(try await store.exists(device) == false)
        try await store.writeString("1", to: StorePath("/tool/device/state"))
        #expect(try await store.writeState(.connected, of: device))
        #expect(try await store.readInteger(StorePath("/tool/device/state")) == 4)
    }
}
