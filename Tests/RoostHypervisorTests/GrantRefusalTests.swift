import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import RoostHypervisor

@Suite("What is not granted")
struct GrantRefusalTests {
    let machine: TestHypervisor
    let guest: EmbeddedDomain
    let backend: EmbeddedDomain

    init() throws {
        machine = try TestHypervisor()
        guest = try machine.domain("guest")
        backend = try machine.domain("backend")
    }

    @Test("BLK-15: a third domain cannot map, copy or even see what two others share")
    func isolation() throws {
        let third = try machine.domain("third")
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try allocator.claim(.readWrite)
        let window = try PageWindow(pageCount: 1)
        try window.mapAnonymous(count: 1, at: 0)
        var mapper = try third.makeMapper(of: guest.id)
        let kind = failureKind {
            _ = try mapper.map([page.reference], .readOnly, into: window, at: 0)
        }
        #expect(kind == .grant)
        let copy = GrantCopy(
            .fromGrant, reference: page.reference, pageOffset: 0, byteCount: 512, windowOffset: 0)
        let failures = mapper.copy([copy], window: window)
        #expect(failures == [true])
        // Nor does the hypervisor give it the memory, which is what keeps the rest from it.
        let error = #expect(throws: HypervisorError.self) {
            _ = try third.control.ask(
                ControlMessage(.nextSegment, UInt32(guest.id.rawValue), 0), .grant, "look")
        }
        #expect(error?.errno == .noSuchFileOrDirectory)
    }

    @Test("the granter's word alone does not let another domain of the same segment in")
    func wrongDomainInEntry() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        // The entry names somebody else.
        let table = try openTable(of: guest, for: backend)
        table.storeReleasing(
            GrantTable.word(granting: .readWrite, to: DomainID(rawValue: 77)),
            at: GrantTable.flagsOffset(of: page.page))
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        let kind = failureKind {
            _ = try mapper.map([page.reference], .readOnly, into: window, at: 0)
        }
        #expect(kind == .grant)
    }

    @Test("a page granted to read is not mapped or copied to write")
    func readOnly() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readOnly)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 2)
        try window.mapAnonymous(count: 1, at: 1)
        let kind = failureKind {
            _ = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        }
        #expect(kind == .grant)
        let copies = [
            GrantCopy(
                .toGrant, reference: page.reference, pageOffset: 0, byteCount: 8,
                windowOffset: pageByteCount),
            GrantCopy(
                .fromGrant, reference: page.reference, pageOffset: 0, byteCount: 8,
                windowOffset: pageByteCount),
        ]
        let failures = mapper.copy(copies, window: window)
        #expect(failures == [true, false])
        let mapping = try mapper.map([page.reference], .readOnly, into: window, at: 0)
        try mapper.unmap(mapping)
        let isUsed = allocator.isInUse(page)
        #expect(!isUsed)
    }

    @Test("BLK-8: one bad grant fails its batch, and leaves no mapping and no mark")
    func batch() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        let pages = [try allocator.claim(.readWrite), try allocator.claim(.readWrite)]
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 4)
        for bad in [0, 1, 2, 3, 5000, UInt32.max] {
            let references = [
                pages[0].reference, pages[1].reference, GrantReference(rawValue: bad),
            ]
            let kind = failureKind {
                _ = try mapper.map(references, .readWrite, into: window, at: 0)
            }
            #expect(kind == .grant)
            let state = (
                mapper.mappedCount, allocator.isInUse(pages[0]), allocator.isInUse(pages[1])
            )
            #expect(state == (0, false, false))
        }
        #expect(try mappings(in: window) == [])
        let good = try mapper.map(
            pages.map(\.reference), .readWrite, into: window, at: 0)
        #expect(good.count == 2, "the same mapper works on")
    }

    @Test("only the whole of a mapping is unmapped, once")
    func wholeMaps() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        let run = try allocator.claimRun(count: 4, .readWrite)
        let references = (0..<4).map { GrantReference(rawValue: run.reference.rawValue + $0) }
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 4)
        let mapping = try mapper.map(references, .readWrite, into: window, at: 0)
        let wrong = [
            GrantMapping(handle: mapping.handle, page: mapping.page, count: 2),
            GrantMapping(handle: mapping.handle, page: 1, count: 3),
            GrantMapping(handle: mapping.handle + 1, page: 0, count: 4),
            GrantMapping(handle: .max, page: 0, count: 4),
        ]
        for part in wrong {
            let kind = failureKind { try mapper.unmap(part) }
            #expect(kind == .grant)
        }
        let mapped = mapper.mappedCount
        #expect(mapped == 4)
        try mapper.unmap(mapping)
        let twice = failureKind { try mapper.unmap(mapping) }
        #expect(twice == .grant)
        let other = try mapper.map(references, .readWrite, into: window, at: 0)
        let stale = failureKind { try mapper.unmap(mapping) }
        #expect(stale == .grant, "an old handle does not unmap what came after it")
        try mapper.unmap(other)
    }

    @Test("a page mapped several times stays in use until the last mapping goes")
    func severalMappings() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        var first = try backend.makeMapper(of: guest.id)
        var second = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 3)
        let one = try first.map([page.reference], .readWrite, into: window, at: 0)
        let two = try second.map([page.reference], .readOnly, into: window, at: 1)
        let three = try first.map([page.reference], .readOnly, into: window, at: 2)
        let table = try openTable(of: guest, for: backend)
        func marks() -> UInt32 {
            table.loadAcquiring(at: GrantTable.flagsOffset(of: 0)) & GrantTable.inUse
        }
        #expect(marks() == GrantTable.inUse)
        try first.unmap(one)
        #expect(marks() == GrantTable.reading, "nobody writes any more")
        try second.unmap(two)
        #expect(marks() == GrantTable.reading)
        let early = allocator.release(page)
        #expect(!early)
        try first.unmap(three)
        #expect(marks() == 0)
        let released = allocator.release(page)
        #expect(released)
    }

    @Test("a frame beyond the segment is refused, and no bit stays set")
    func wildFrame() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try allocator.claim(.readWrite)
        let table = try openTable(of: guest, for: backend)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        for frame: UInt32 in [2, 1 << 16, 1 << 20, .max] {
            table.storeReleasing(frame, at: GrantTable.frameOffset(of: page.page))
            let kind = failureKind {
                _ = try mapper.map([page.reference], .readWrite, into: window, at: 0)
            }
            #expect(kind == .grant)
            let isUsed = allocator.isInUse(page)
            #expect(!isUsed)
        }
    }

    @Test("any table gives mappings or refusals, never a trap", arguments: 0..<32)
    func randomTables(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let allocator = try guest.makeAllocator(for: backend.id, pageLimit: 16)
        let table = try openTable(of: guest, for: backend)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 16)
        try window.mapAnonymous(count: 1, at: 15)
        var mappings: [GrantMapping] = []
        for _ in 0..<300 {
            let page = Int.random(in: 0..<16, using: &random)
            let word =
                Bool.random(using: &random)
                ? UInt32.random(in: 0...31, using: &random) | UInt32(backend.id.rawValue) << 16
                : UInt32.random(in: 0 ... .max, using: &random)
            table.storeReleasing(word, at: GrantTable.flagsOffset(of: page))
            table.storeReleasing(
                UInt32.random(in: 0...20, using: &random), at: GrantTable.frameOffset(of: page))
            let references = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                GrantReference(rawValue: UInt32.random(in: 0...30, using: &random))
            }
            let place = Int.random(in: 0..<12, using: &random)
            let access: GrantAccess = Bool.random(using: &random) ? .readOnly : .readWrite
            if let made = try? mapper.map(references, access, into: window, at: place) {
                mappings.append(made)
            }
            let copy = GrantCopy(
                Bool.random(using: &random) ? .fromGrant : .toGrant, reference: references[0],
                pageOffset: UInt16.random(in: 0...5000, using: &random),
                byteCount: UInt16.random(in: 0...5000, using: &random),
                windowOffset: 15 * pageByteCount)
            _ = mapper.copy([copy], window: window)
            if Bool.random(using: &random), let last = mappings.popLast() {
                try mapper.unmap(last)
            }
        }
        for mapping in mappings { try mapper.unmap(mapping) }
        let left = mapper.mappedCount
        #expect(left == 0)
        let claimed = allocator.claimedCount
        #expect(claimed == 0)
    }

    @Test("a bad reference asks the hypervisor once, not each time it is named")
    func badReferencesAreRemembered() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        let bad = GrantReference(rawValue: 4_000_000)
        _ = failureKind { _ = try mapper.map([bad], .readWrite, into: window, at: 0) }
        let generation = mapper.knownGeneration
        machine.hypervisor.stop()
        #expect(becomesReadable(backend.lossDescriptor))
        // Asking would now fail with `lost`.
        let kind = failureKind { _ = try mapper.map([bad], .readWrite, into: window, at: 0) }
        #expect(kind == .grant)
        #expect(generation != nil)
        let known = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        #expect(known.count == 1, "what is known is mapped without anybody's help")
    }

    @Test("a file that could shrink, or is too short, is refused")
    func unsealedFile() throws {
        let (ours, theirs) = try StreamSocket.pair()
        let liar = LyingHypervisor(ours)
        liar.start()
        let domain = try EmbeddedDomain(theirs, name: "victim")
        #expect(domain.id == DomainID(rawValue: 5))
        for kind in [LyingHypervisor.File.unsealed, .short] {
            liar.file.store(kind.rawValue, ordering: .releasing)
            let failure = failureKind {
                _ = try domain.makeAllocator(for: DomainID(rawValue: 6), pageLimit: 2)
            }
            #expect(failure == .malformed)
            var mapper = try domain.makeMapper(of: DomainID(rawValue: 6))
            let window = try PageWindow(pageCount: 1)
            let mapFailure = failureKind {
                _ = try mapper.map([GrantReference(rawValue: 8)], .readOnly, into: window, at: 0)
            }
            #expect(mapFailure == .malformed)
        }
    }

    /// Another mapping of the table that a domain last made for a peer, as its granter has it.
    private func openTable(
        of granter: EmbeddedDomain, for peer: EmbeddedDomain
    ) throws -> PageWindow {
        let answer = try peer.control.ask(
            ControlMessage(.nextSegment, UInt32(granter.id.rawValue), 0), .grant, "look")
        let file = try #require(answer.descriptor(0))
        return try SegmentCache.map(file.descriptor, pageCount: 1, isWritable: true)
    }
}
