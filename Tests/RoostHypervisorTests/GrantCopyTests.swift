import RoostMemory
import TestSupport
import Testing

@testable import RoostHypervisor

@Suite("Grant copies of the embedded hypervisor")
struct GrantCopyTests {
    let machine: TestHypervisor
    let guest: EmbeddedDomain
    let backend: EmbeddedDomain

    init() throws {
        machine = try TestHypervisor()
        guest = try machine.domain("guest")
        backend = try machine.domain("backend")
    }

    @Test("bytes go both ways, and none beside them")
    func bothWays() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: page.page, with: 1)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        try window.mapAnonymous(count: 1, at: 0)
        window.fill(page: 0, with: 2)
        let copies = [
            GrantCopy(
                .fromGrant, reference: page.reference, pageOffset: 512, byteCount: 1024,
                windowOffset: 0),
            GrantCopy(
                .toGrant, reference: page.reference, pageOffset: 4092, byteCount: 4,
                windowOffset: 2048),
        ]
        let failures = mapper.copy(copies, window: window)
        #expect(failures == [false, false])
        let own = [0, 1020, 1024].map { window.loadRelaxed(at: $0) }
        #expect(own == [0x0101_0101, 0x0101_0101, 0x0202_0202])
        let theirs = [4088, 4092].map { allocator.window.loadRelaxed(at: $0) }
        #expect(theirs == [0x0101_0101, 0x0202_0202])
        let isUsed = allocator.isInUse(page)
        #expect(!isUsed)
        let mapped = mapper.mappedCount
        #expect(mapped == 0)
    }

    @Test("each bad copy fails alone")
    func statuses() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: page.page, with: 6)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 2)
        try window.mapAnonymous(count: 1, at: 0)
        let good = GrantCopy(
            .fromGrant, reference: page.reference, pageOffset: 0, byteCount: 16, windowOffset: 0)
        var crossing = good
        crossing.pageOffset = 4096 - 8
        var beyondPage = good
        beyondPage.pageOffset = .max
        var beyondWindow = good
        beyondWindow.windowOffset = 2 * pageByteCount - 8
        var negative = good
        negative.windowOffset = -16
        var huge = good
        huge.windowOffset = .max
        var unmapped = good
        unmapped.windowOffset = pageByteCount
        var unknown = good
        unknown.reference = GrantReference(rawValue: 1_000_000)
        var last = good
        last.windowOffset = 64
        let failures = mapper.copy(
            [
                good, crossing, beyondPage, beyondWindow, negative, huge, unmapped, unknown, last,
            ], window: window)
        #expect(failures == [false, true, true, true, true, true, true, true, false])
        let copied = [0, 12, 16, 64, 76].map { window.loadRelaxed(at: $0) }
        #expect(copied == [0x0606_0606, 0x0606_0606, 0, 0x0606_0606, 0x0606_0606])
        let isUsed = allocator.isInUse(page)
        #expect(!isUsed)
    }

    @Test("copies in any order move the same bytes as a plain model", arguments: 0..<32)
    func model(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 8)
        let run = try allocator.claimRun(count: 8, .readWrite)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 8)
        try window.mapAnonymous(count: 8, at: 0)
        let count = 8 * pageByteCount
        var grants = (0..<count).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
        var own = (0..<count).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
        let (theirs, mine) = (grants, own)
        allocator.window.copy(unsafe theirs.span.bytes, to: 0)
        window.copy(unsafe mine.span.bytes, to: 0)
        var copies: [GrantCopy] = []
        var place = 0
        for _ in 0..<64 {
            // Often the next bytes of both, so that runs come about.
            if Bool.random(using: &random) { place = Int.random(in: 0..<count, using: &random) }
            let offset = place % pageByteCount
            let length = Int.random(in: 0...(pageByteCount - offset), using: &random)
            let shift = Bool.random(using: &random) ? 0 : Int.random(in: 0..<512, using: &random)
            let target = min(place + shift, count - length)
            let direction: GrantCopy.Direction =
                Bool.random(using: &random) ? .fromGrant : .toGrant
            copies.append(
                GrantCopy(
                    direction,
                    reference: GrantReference(
                        rawValue: run.reference.rawValue + UInt32(place / pageByteCount)),
                    pageOffset: UInt16(offset), byteCount: UInt16(length), windowOffset: target))
            for index in 0..<length {
                switch direction {
                case .fromGrant: own[target + index] = grants[place + index]
                case .toGrant: grants[place + index] = own[target + index]
                }
            }
            place = (place + length) % count
        }
        let failures = mapper.copy(copies, window: window)
        #expect(!failures.contains(true))
        #expect([UInt8](window.bytes(at: 0, count: count)) == own)
        let arrived = [UInt8](allocator.window.bytes(at: 0, count: count))
        #expect(arrived == grants)
    }
}
