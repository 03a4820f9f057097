import RoostMemory
import SystemPackage
import Testing

@testable import RoostHypervisor

@Suite("Grants of the embedded hypervisor")
struct GrantLifecycleTests {
    let machine: TestHypervisor
    let guest: EmbeddedDomain
    let backend: EmbeddedDomain

    init() throws {
        machine = try TestHypervisor()
        guest = try machine.domain("guest")
        backend = try machine.domain("backend")
    }

    @Test("a granted page is the same memory at both ends, until it is unmapped and released")
    func lifecycle() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        var mapper = try backend.makeMapper(of: guest.id)
        let page = try allocator.claim(.readWrite)
        let isZero = allocator.window.isFilled(page: page.page, with: 0)
        #expect(isZero)
        #expect(page.reference.rawValue >= 8)
        allocator.window.fill(page: page.page, with: 7)

        let window = try PageWindow(pageCount: 2)
        let mapping = try mapper.map([page.reference], .readWrite, into: window, at: 1)
        let isUsed = allocator.isInUse(page)
        #expect(isUsed)
        #expect(window.isFilled(page: 1, with: 7))
        window.fill(page: 1, with: 9)
        let arrived = allocator.window.isFilled(page: page.page, with: 9)
        #expect(arrived)
        let early = allocator.release(page)
        #expect(!early, "a page is not released while it is mapped")
        let mapped = mapper.mappedCount
        #expect(mapped == 1)

        try mapper.unmap(mapping)
        let after = (mapper.mappedCount, allocator.isInUse(page), allocator.claimedCount)
        #expect(after == (0, false, 1))
        let released = allocator.release(page)
        let left = allocator.claimedCount
        #expect(released && left == 0)
        let kind = failureKind {
            _ = try mapper.map([page.reference], .readOnly, into: window, at: 0)
        }
        #expect(kind == .grant, "a grant that has ended cannot be mapped")
    }

    @Test("free pages are a stack: the one released last is claimed next")
    func lastInFirstOut() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        let first = try allocator.claim(.readWrite)
        let second = try allocator.claim(.readWrite)
        let third = try allocator.claim(.readWrite)
        #expect([first.page, second.page, third.page] == [0, 1, 2])
        let released = [allocator.release(first), allocator.release(third)]
        #expect(released == [true, true])
        let next = [try allocator.claim(.readOnly).page, try allocator.claim(.readOnly).page]
        #expect(next == [2, 0])
    }

    @Test("BLK-5: an allocator whose pages are all claimed says so, and works on once one is free")
    func exhaustion() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 3)
        let pages = [
            try allocator.claim(.readWrite), try allocator.claim(.readWrite),
            try allocator.claim(.readWrite),
        ]
        let error = #expect(throws: HypervisorError.self) { _ = try allocator.claim(.readWrite) }
        #expect(error?.kind == .noGrants && error?.errno == .noSpace)
        let released = allocator.release(pages[1])
        #expect(released)
        let again = try allocator.claim(.readWrite)
        #expect(again == pages[1])
    }

    @Test("a run lies side by side in pages and references, around what is claimed already")
    func runs() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 8)
        let single = try allocator.claim(.readWrite)
        let blocker = try allocator.claim(.readWrite)
        let released = allocator.release(single)
        #expect(released)
        let run = try allocator.claimRun(count: 4, .readWrite)
        #expect(run.page == blocker.page + 1)
        #expect(run.reference.rawValue == blocker.reference.rawValue + 1)
        let kind = failureKind { _ = try allocator.claimRun(count: 3, .readWrite) }
        #expect(kind == .noGrants, "three pages are free, but not side by side")
        let rest = try [
            allocator.claim(.readOnly).page, allocator.claim(.readOnly).page,
            allocator.claim(.readOnly).page,
        ]
        #expect(rest.sorted() == [0, 6, 7])
        let kindOfNext = failureKind { _ = try allocator.claim(.readOnly) }
        #expect(kindOfNext == .noGrants)
    }

    @Test("pages keep what the pair left in them, and a new allocator's are zero")
    func contents() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: 0, with: 5)
        let released = allocator.release(page)
        #expect(released)
        _ = try allocator.claim(.readWrite)
        let isKept = allocator.window.isFilled(page: 0, with: 5)
        #expect(isKept)
        var other = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let fresh = try other.claim(.readWrite)
        #expect(fresh.reference != page.reference)
        let isZero = other.window.isFilled(page: 0, with: 0)
        #expect(isZero)
    }

    @Test("one allocator's many pages are mapped in one order and in any other")
    func orders() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 64)
        var mapper = try backend.makeMapper(of: guest.id)
        var references: [GrantReference] = []
        for index in 0..<64 {
            let page = try allocator.claim(.readWrite)
            allocator.window.fill(page: page.page, with: UInt8(index))
            references.append(page.reference)
        }
        let window = try PageWindow(pageCount: 128)
        let straight = try mapper.map(references, .readOnly, into: window, at: 0)
        let found = try mappings(in: window)
        #expect(found.count == 1, "a contiguous run is one mapping")
        let mixed = references.enumerated().map { references[($0.offset * 37) % 64] }
        let crossed = try mapper.map(mixed, .readWrite, into: window, at: 64)
        for index in 0..<64 {
            #expect(window.isFilled(page: index, with: UInt8(index)))
            #expect(window.isFilled(page: 64 + index, with: UInt8((index * 37) % 64)))
        }
        try mapper.unmap(straight)
        #expect(window.isFilled(page: 64, with: 0), "the other mapping stays")
        try mapper.unmap(crossed)
        #expect(try mappings(in: window) == [])
        let left = mapper.mappedCount
        #expect(left == 0)
    }

    @Test("grants of several allocators, made before and after the mapper looked, are found")
    func severalSegments() throws {
        let window = try PageWindow(pageCount: 16)
        var mapper = try backend.makeMapper(of: guest.id)
        var first = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let one = try first.claim(.readWrite)
        _ = try mapper.map([one.reference], .readWrite, into: window, at: 0)
        var second = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let two = try second.claim(.readWrite)
        second.window.fill(page: two.page, with: 2)
        first.window.fill(page: one.page, with: 1)
        _ = try mapper.map(
            [two.reference, one.reference, two.reference], .readWrite, into: window, at: 1)
        #expect(window.isFilled(page: 1, with: 2))
        #expect(window.isFilled(page: 2, with: 1))
        #expect(window.isFilled(page: 3, with: 2))
    }

    @Test("an allocator that ends takes its grants with it; what is mapped stays memory")
    func allocatorEnds() throws {
        let window = try PageWindow(pageCount: 2)
        var mapper = try backend.makeMapper(of: guest.id)
        let reference: GrantReference
        let mapping: GrantMapping
        do {
            var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
            let page = try allocator.claim(.readWrite)
            allocator.window.fill(page: page.page, with: 3)
            reference = page.reference
            mapping = try mapper.map([reference], .readWrite, into: window, at: 0)
        }
        #expect(window.isFilled(page: 0, with: 3))
        let kind = failureKind {
            _ = try mapper.map([reference], .readWrite, into: window, at: 1)
        }
        #expect(kind == .grant)
        try mapper.unmap(mapping)
        // A later allocator gets other references.
        var next = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try next.claim(.readWrite)
        #expect(page.reference.rawValue > reference.rawValue)
    }

    @Test("ending a mapper unmaps all and lets every grant go")
    func mapperEnds() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        let page = try allocator.claimRun(count: 4, .readWrite)
        let window = try PageWindow(pageCount: 4)
        do {
            var mapper = try backend.makeMapper(of: guest.id)
            let all = (0..<4).map { GrantReference(rawValue: page.reference.rawValue + $0) }
            _ = try mapper.map(all, .readWrite, into: window, at: 0)
            _ = mapper.mappedCount
        }
        for index in 0..<4 {
            let one = GrantedPage(
                reference: GrantReference(rawValue: page.reference.rawValue + UInt32(index)),
                page: index)
            let released = allocator.release(one)
            #expect(released)
        }
    }
}
