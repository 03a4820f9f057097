import Foundation
import RoostHypervisor
import RoostMemory
import SystemPackage
import Testing
import TestSupport

@testable import RoostBlock

@Suite("A disk from end to end", .timeLimit(.minutes(5)))
struct DeviceTests {
    static let byteCount: UInt64 = 4 << 20

    @Test(
        "BLK-1, BLK-2, BLK-7: data is right under every policy, mode, ring and number of queues",
        arguments: [
            (GrantPolicy.always, GrantMode.persistent, 0, 1),
            (.always, .map, 0, 1), (.always, .copy, 2, 1), (.negotiated, .persistent, 1, 2),
            (.negotiated, .copy, 0, 2), (.never, .persistent, 0, 1), (.never, .map, 4, 1),
            (.never, .copy, 0, 4),
        ])
    func combinations(
        policy: GrantPolicy, mode: GrantMode, order: Int, queues: Int
    ) async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount)) {
            $0.mode = mode
        }
        let guest = try rig.connect {
            $0.policy = policy
            $0.ringPageOrder = order
            $0.queueCount = queues
        }
        let geometry = try await guest.frontend.waitUntilConnected()
        #expect(geometry.byteCount == Self.byteCount)
        for index in 0..<16 {
            try await guest.fill(UInt8(index + 1), at: UInt64(index) * 70_144, count: 70_144)
        }
        for index in 0..<16 {
            let read = try await guest.bytes(at: UInt64(index) * 70_144, count: 70_144)
            #expect(read == [UInt8](repeating: UInt8(index + 1), count: 70_144))
        }
        try await guest.frontend.flush()
        let device = try #require(served.backend.snapshot().first)
        #expect(device.state == .connected && device.queues.count == queues)
        #expect(1 << device.ringPageOrder == 1 << order)
        let isPersistent = policy != .never && mode == .persistent
        #expect(device.mode == (mode == .persistent && policy == .never ? .copy : mode))
        let mapped = device.queues.reduce(0) { $0 + $1.grantsMapped }
        #expect(isPersistent == (mapped > 0), "persistent grants are kept, others are not")
        #expect(device.queues.reduce(0) { $0 + $1.flushes } == 1)
        try await guest.close()
        try await served.close()
    }

    @Test(
        "BLK-16: sixteen guests at once read what their disk holds, however pages are reached",
        arguments: [GrantPolicy.always, .never], GrantMode.allCases)
    func manyGuests(policy: GrantPolicy, mode: GrantMode) async throws {
        let rig = DeviceRig(try DiskMachine())
        let storage = try MemoryStorage(byteCount: Self.byteCount)
        let writer = try await rig.serve(storage)
        let first = try rig.connect()
        for block in 0..<64 as Range<UInt64> {
            try await first.fill(UInt8(block + 1), at: block * 4096, count: 4096)
        }
        try await first.close()
        try await writer.close()
        // The same bytes, to be read by all.
        let served = try await rig.serve(ReadOnlyStorage(storage)) { $0.mode = mode }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let guest = try rig.connect { $0.policy = policy }
                    for block in 0..<64 as Range<UInt64> {
                        let read = try await guest.bytes(at: block * 4096, count: 4096)
                        #expect(read == [UInt8](repeating: UInt8(block + 1), count: 4096))
                    }
                    try await guest.close()
                }
            }
            try await group.waitForAll()
        }
        try await served.close()
    }

    @Test("BLK-10: closing either end leaves no grant claimed, mapped or marked")
    func closing() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        for _ in 0..<3 {
            let guest = try rig.connect()
            try await guest.fill(7, at: 0, count: 1 << 20)
            #expect(guest.frontend.snapshot().grantCount > 0)
            try await guest.close()
            #expect(guest.frontend.snapshot().grantCount == 0)
        }
        try await served.close()
        #expect(served.backend.snapshot().isEmpty)
    }

    @Test("BLK-11: a backend that is killed and started again costs callers a delay, no write")
    func backendKilled() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "roost-\(UInt64.random(in: 0 ... .max)).raw")
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(FileManager.default.createFile(atPath: folder.path, contents: nil))
        try FileHandle(forWritingTo: folder).truncate(atOffset: Self.byteCount)
        let rig = DeviceRig(try DiskMachine())
        let guest = try rig.connect { $0.queueCount = 2 }
        let (written, report) = AsyncStream<Void>.makeStream()
        let writes = Task {
            for round in 0..<40 as Range<UInt8> {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for place in 0..<16 as Range<UInt64> {
                        group.addTask {
                            try await guest.fill(round, at: place * 65_536, count: 65_536)
                            report.yield()
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        // Killed as the hypervisor sees it: the image and its lock stay this process's.
        let storage = try FileStorage(path: folder.path, log: BackendOptions().logger)
        for _ in 0..<4 {
            let served = try await rig.serve(storage)
            for await _ in written.prefix(100) {}
            await served.kill()
        }
        let served = try await rig.serve(storage)
        try await writes.value
        #expect(guest.frontend.snapshot().reconnections >= 3)
        try await guest.frontend.flush()
        let read = try await guest.bytes(at: 0, count: 1 << 20)
        #expect(read.allSatisfy { $0 == 39 })
        try await guest.close()
        try await served.close()
        let file = try Data(contentsOf: folder).prefix(1 << 20)
        #expect(file.allSatisfy { $0 == 39 })
    }

    @Test("BLK-11: a hypervisor that ends and comes back costs callers a delay")
    func hypervisorEnds() async throws {
        let storage = try MemoryStorage(byteCount: Self.byteCount)
        let first = try DiskMachine()
        var machine = first
        var rig = DeviceRig(machine)
        let guest = try rig.connect()
        for round in 1...3 as ClosedRange<UInt8> {
            let served = try await rig.serve(storage)
            try await guest.fill(round, at: UInt64(round) * 4096, count: 4096)
            machine.stop()
            await #expect(throws: HypervisorError.self) { try await served.task.value }
            machine = try DiskMachine(succeeding: first)
            rig = DeviceRig(machine)
        }
        let served = try await rig.serve(storage)
        for round in 1...3 as ClosedRange<UInt8> {
            let read = try await guest.bytes(at: UInt64(round) * 4096, count: 4096)
            #expect(read == [UInt8](repeating: round, count: 4096))
        }
        try await guest.close()
        try await served.close()
        machine.stop()
        withExtendedLifetime(first) {}
    }

    @Test("BLK-11: a store that ends before its hypervisor costs callers a delay")
    func storeEnds() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        let (domains, attached) = AsyncStream<EmbeddedDomain>.makeStream()
        let guest = try rig.connect(reporting: attached)
        var attachments = domains.makeAsyncIterator()
        for round in 1...3 as ClosedRange<UInt8> {
            let domain = try #require(await attachments.next())
            try await guest.fill(round, at: 0, count: 4096)
            domain.store.close()
            #expect(domain.isLost)
            let read = try await guest.bytes(at: 0, count: 4096)
            #expect(read == [UInt8](repeating: round, count: 4096))
        }
        try await guest.close()
        try await served.close()
    }

    @Test("a disk that can be written is one guest's at a time; the next is served when it is free")
    func oneWriter() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        let first = try rig.connect()
        try await first.fill(1, at: 0, count: 4096)
        let second = try rig.connect()
        let read = Task { try await second.bytes(at: 0, count: 4096) }
        try await rig.waitUntilInitialised(second)
        try await first.fill(2, at: 0, count: 4096)
        #expect(!second.frontend.snapshot().isConnected)
        try await first.close()
        #expect(try await read.value == [UInt8](repeating: 2, count: 4096))
        try await second.close()
        try await served.close()
    }

    @Test("a guest whose nodes are written anew, or may not be read, connects again by itself")
    func nodesReplaced() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        let guest = try rig.connect()
        try await guest.fill(5, at: 8192, count: 4096)
        let tools = try await rig.tools()
        let device = try #require(served.backend.snapshot().first)
        let changes = try await tools.watch(try StorePath("\(rig.path(of: guest))/state"))
        try await tools.setPermissions(
            StorePermissions(owner: served.domain.id),
            of: try StorePath("\(device.nodes)/state"), in: nil)
        // It writes its nodes anew once it has given up the connection.
        for await _ in changes where guest.frontend.snapshot().reconnections > 0 { break }
        let read = try await guest.bytes(at: 8192, count: 4096)
        #expect(read == [UInt8](repeating: 5, count: 4096))
        try await guest.close()
        try await served.close()
    }

    @Test("BLK-12: a read-only disk serves many guests, and nothing can be written")
    func readOnly() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(
            try MemoryStorage(byteCount: Self.byteCount, isReadOnly: true))
        let guests = [try rig.connect(), try rig.connect(), try rig.connect()]
        for guest in guests {
            #expect(
                try await guest.bytes(at: 4096, count: 512) == [UInt8](repeating: 0, count: 512))
            let error = await #expect(throws: BlockError.self) {
                try await guest.fill(1, at: 0, count: 512)
            }
            #expect(error?.kind == .request)
        }
        for guest in guests { try await guest.close() }
        try await served.close()
    }

    @Test("BLK-21: a request past the end is refused whole, before and behind the ring")
    func pastTheEnd() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        let guest = try rig.connect()
        _ = try await guest.frontend.waitUntilConnected()
        let error = await #expect(throws: BlockError.self) {
            try await guest.fill(1, at: Self.byteCount - 512, count: 1024)
        }
        #expect(error?.kind == .request)
        let last = try await guest.bytes(at: Self.byteCount - 512, count: 512)
        #expect(last == [UInt8](repeating: 0, count: 512))
        try await guest.close()
        try await served.close()
    }

    @Test("a disk that changes its size is seen by its guest while it runs")
    func resize() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        let guest = try rig.connect()
        _ = try await guest.frontend.waitUntilConnected()
        served.backend.resize(to: Self.byteCount / 1024)
        for await geometry in guest.frontend.geometries()
        where geometry.byteCount == Self.byteCount / 2 { break }
        await #expect(throws: BlockError.self) {
            try await guest.fill(1, at: Self.byteCount / 2, count: 512)
        }
        try await guest.close()
        try await served.close()
    }

    @Test("BLK-5: when the grant table is empty requests wait, and none fails or is lost")
    func fewGrants() async throws {
        let rig = DeviceRig(try DiskMachine())
        let served = try await rig.serve(try MemoryStorage(byteCount: Self.byteCount))
        for policy in GrantPolicy.allCases {
            let guest = try rig.connect {
                $0.grantLimit = 33
                $0.policy = policy
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for place in 0..<32 as Range<UInt64> {
                    group.addTask {
                        try await guest.fill(UInt8(place), at: place * 131_072, count: 131_072)
                    }
                }
                try await group.waitForAll()
            }
            for place in 0..<32 as Range<UInt64> {
                let read = try await guest.bytes(at: place * 131_072, count: 131_072)
                #expect(read.allSatisfy { $0 == UInt8(place) })
            }
            #expect(guest.frontend.snapshot().statistics.grantShortages > 0)
            try await guest.close()
        }
        try await served.close()
    }
}
