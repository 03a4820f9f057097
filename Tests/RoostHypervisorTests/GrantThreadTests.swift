import RoostMemory
import RoostSystem
import Synchronization
import Testing

@testable import RoostHypervisor

@Suite("Grants used by several threads")
struct GrantThreadTests {
    /// What the threads of a test share.
    private final class Shared: Sendable {
        /// How often the granter has ended a grant.
        let releases = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
        let reference = Atomic<UInt32>(0)
        let holds = Atomic<Int>(0)
        /// How often the granter has tried.
        let attempts = Atomic<Int>(0)
    }

    @Test("no grant ends while any of two threads' mappers has it mapped")
    func releaseAgainstMapping() async throws {
        let machine = try TestHypervisor()
        let guest = try machine.domain("guest")
        let backend = try machine.domain("backend")
        let shared = Shared()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    try await DedicatedThread.run(name: "mapper") {
                        try hold(shared, backend, guest.id)
                    }
                }
            }
            group.addTask {
                defer { shared.isOver.store(true, ordering: .releasing) }
                try await DedicatedThread.run(name: "granter") {
                    try release(shared, guest, backend.id)
                }
            }
            try await group.waitForAll()
        }
        #expect(shared.releases.load(ordering: .acquiring) >= 200)
        #expect(shared.holds.load(ordering: .acquiring) > 0)
    }

    /// Grants a page and ends the grant, again and again.
    private func release(
        _ shared: Shared, _ guest: EmbeddedDomain, _ peer: DomainID
    ) throws {
        var allocator = try guest.makeAllocator(for: peer, pageLimit: 1)
        let deadline = ContinuousClock.now + .seconds(30)
        while shared.releases.load(ordering: .acquiring) < 200
            || shared.holds.load(ordering: .acquiring) == 0
        {
            let page = try allocator.claim(.readWrite)
            shared.reference.store(page.reference.rawValue, ordering: .releasing)
            while !allocator.release(page) {
                shared.attempts.add(1, ordering: .relaxed)
                guard .now < deadline else { return }
            }
            shared.attempts.add(1, ordering: .relaxed)
            shared.releases.add(1, ordering: .acquiringAndReleasing)
        }
    }

    /// Maps the page as often as it can be, and looks whether its grant ends meanwhile.
    private func hold(
        _ shared: Shared, _ backend: EmbeddedDomain, _ granter: DomainID
    ) throws {
        var mapper = try backend.makeMapper(of: granter)
        let window = try PageWindow(pageCount: 1)
        while !shared.isOver.load(ordering: .acquiring) {
            let reference = GrantReference(
                rawValue: shared.reference.load(ordering: .acquiring))
            guard let mapping = try? mapper.map([reference], .readWrite, into: window, at: 0)
            else { continue }
            let before = shared.releases.load(ordering: .acquiring)
            window.storeRelaxed(1, at: 0)
            let after = shared.releases.load(ordering: .acquiring)
            #expect(before == after, "a grant ended while it was mapped")
            shared.holds.add(1, ordering: .relaxed)
            try mapper.unmap(mapping)
            // The granter gets its turn, or two mappers would keep the page between them.
            let attempts = shared.attempts.load(ordering: .relaxed)
            while shared.attempts.load(ordering: .relaxed) < attempts + 2,
                !shared.isOver.load(ordering: .acquiring)
            {
                ThisProcess.sleep(.microseconds(1))
            }
        }
    }

    @Test("threads make and end allocators, mappers and channels at once")
    func controlFromManyThreads() async throws {
        let machine = try TestHypervisor()
        let guest = try machine.domain("guest")
        let backend = try machine.domain("backend")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    try await DedicatedThread.run(name: "control") {
                        for round in 0..<25 {
                            try exchange(guest, backend, UInt8(thread * 25 + round))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func exchange(
        _ guest: EmbeddedDomain, _ backend: EmbeddedDomain, _ mark: UInt8
    ) throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 3)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: page.page, with: mark)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        let mapping = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        #expect(window.isFilled(page: 0, with: mark))
        let made = try guest.allocateUnbound(for: backend.id)
        var bound = try backend.bind(to: guest.id, port: made.port)
        try made.notify()
        let heard = bound.takePending()
        #expect(heard)
        try mapper.unmap(mapping)
    }

    @Test("what a cycle of map, copy and unmap takes, beside a grant copy, is noted")
    func measured() async throws {
        let machine = try TestHypervisor()
        let guest = try machine.domain("guest")
        let backend = try machine.domain("backend")
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 64)
        let run = try allocator.claimRun(count: 64, .readWrite)
        let first = run.reference.rawValue
        let (mapped, copied) = try await DedicatedThread.run(name: "measure") {
            try measure(backend, guest.id, first)
        }
        print("map, copy 4 KiB, unmap: \(mapped) cycles/s; grant copy: \(copied) copies/s")
        #expect(mapped > 0 && copied > 0)
    }

    private func measure(
        _ backend: EmbeddedDomain, _ granter: DomainID, _ first: UInt32
    ) throws -> (mapped: Int, copied: Int) {
        var mapper = try backend.makeMapper(of: granter)
        let window = try PageWindow(pageCount: 2)
        try window.mapAnonymous(count: 1, at: 1)
        let count = 20_000
        let clock = ContinuousClock()
        let references = (0..<64).map { GrantReference(rawValue: first + UInt32($0)) }
        let span = references.span
        let mapping = try clock.measure {
            for index in 0..<count {
                let one = try mapper.map(
                    span.extracting(index % 64..<index % 64 + 1), .readWrite, into: window, at: 0)
                window.copy(count: pageByteCount, from: window, at: 0, to: pageByteCount)
                try mapper.unmap(one)
            }
        }
        var copies = [
            GrantCopy(
                .fromGrant, reference: references[0], pageOffset: 0, byteCount: 4096,
                windowOffset: pageByteCount)
        ]
        var failures = [false]
        let copying = clock.measure {
            for index in 0..<count {
                copies[0].reference = references[index % 64]
                var failed = failures.mutableSpan
                _ = mapper.copy(copies.span, window: window, failures: &failed)
            }
        }
        #expect(failures == [false])
        return (
            Int(Double(count) / (mapping / .seconds(1))),
            Int(Double(count) / (copying / .seconds(1)))
        )
    }
}
