import RoostMemory
import Testing
import TestSupport

@Suite struct XBZRLETests {
    // MARK: Encoding

    @Test func `equal pages are unchanged`() {
        #expect(encode(old: text, new: text) == .unchanged)
        #expect(encode(old: PageContents.zero, new: PageContents.zero) == .unchanged)
    }

    @Test(
        arguments: [
            (0, [0, 1]), (1, [1, 1]), (7, [7, 1]), (8, [8, 1]), (127, [127, 1]),
            (128, [0x80, 1, 1]), (129, [0x81, 1, 1]), (4094, [0xfe, 0x1f, 1]),
            (4095, [0xff, 0x1f, 1]),
        ] as [(Int, [UInt8])])
    func `one changed byte is one pair of runs`(offset: Int, head: [UInt8]) {
        var new = PageContents.zero
        new[offset] = 0x5a
        #expect(encode(old: PageContents.zero, new: new) == .delta(head + [0x5a]))
    }

    @Test func `changes at three places are three pairs`() {
        var new = PageContents.zero
        for offset in [0x10, 0x11, 0x800, 0xffe, 0xfff] {
            new[offset] = 0xaa
        }
        #expect(
            encode(old: PageContents.zero, new: new)
                == .delta([
                    0x10, 2, 0xaa, 0xaa, 0xee, 0x0f, 1, 0xaa, 0xfd, 0x0f, 2, 0xaa, 0xaa,
                ]))
    }

    @Test func `one equal byte between changes makes another pair`() {
        var new = PageContents.zero
        new[8] = 1
        new[10] = 2
        #expect(encode(old: PageContents.zero, new: new) == .delta([8, 1, 1, 1, 1, 2]))
    }

    @Test func `a page that differs everywhere overflows`() {
        let new = [UInt8](repeating: 1, count: pageByteCount)
        #expect(encode(old: PageContents.zero, new: new) == .overflow)
    }

    /// A leading equal run of 1 to 127 bytes and one run of changes: 1 + 2 + the changes.
    @Test(
        arguments: [
            (1, nil), (2, nil), (3, 4096), (4, 4095),
        ] as [(Int, Int?)])
    func `an encoding of a whole page is the longest`(equal: Int, byteCount: Int?) {
        var new = [UInt8](repeating: 1, count: pageByteCount)
        for offset in 0..<equal {
            new[offset] = 0
        }
        let result = encode(old: PageContents.zero, new: new)
        #expect(result.byteCount == byteCount)
        #expect(result == plain(old: PageContents.zero, new: new))
    }

    /// The encoder gives up with one byte left, even where nothing more would be written.
    @Test(arguments: [(4093, true), (4094, true), (4095, false), (4096, false)])
    func `two bytes of room are asked for before an equal run`(written: Int, fits: Bool) {
        // One pair of 0, 2 bytes of length and the changes, then an equal tail.
        let changes = written - 3
        var new = PageContents.zero
        for offset in 0..<changes {
            new[offset] = 1
        }
        #expect(changes < pageByteCount)
        let result = encode(old: PageContents.zero, new: new)
        #expect(result.byteCount == (fits ? written : nil))
        #expect(result == plain(old: PageContents.zero, new: new))
    }

    @Test func `two bytes of room are asked for before a differing run`() {
        // 4,093 bytes, then an equal run's length of one byte leave two; of two bytes, one.
        // The page ends in one changed byte: 4,093 + 1 + 1 + 1 is a whole page.
        for (changes, expected) in [(4090, 4096), (4091, nil)] as [(Int, Int?)] {
            var new = PageContents.zero
            for offset in 0..<changes {
                new[offset] = 1
            }
            new[4095] = 1
            let result = encode(old: PageContents.zero, new: new)
            #expect(result.byteCount == expected)
            #expect(result == plain(old: PageContents.zero, new: new))
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `an encoding is the plain encoder's and decodes to the page`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let (old, new) = pages(using: &random)
        let result = encode(old: old, new: new)
        #expect(result == plain(old: old, new: new))
        guard case .delta(let delta) = result else { return }
        var page = old
        try decode(delta, onto: &page)
        #expect(page == new)
    }

    /// Random pairs of runs that end near the limit, where every rule of overflow is met.
    @Test(arguments: 0..<400 as Range<UInt64>)
    func `near the limit the encoder gives up where the plain one does`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var new = PageContents.zero
        var position = Int.random(in: 0...2, using: &random)
        // A pair with short runs costs 2 and saves 1 for each equal byte, so equal runs of
        // about 2 bytes keep the encoding close to a page.
        while position < pageByteCount {
            let differing = Int.random(in: 1...90, using: &random)
            for offset in position..<min(position + differing, pageByteCount) {
                new[offset] = UInt8.random(in: 1...255, using: &random)
            }
            position += differing + Int.random(in: 1...3, using: &random)
        }
        let result = encode(old: PageContents.zero, new: new)
        #expect(result == plain(old: PageContents.zero, new: new))
        guard case .delta(let delta) = result else { return }
        var page = PageContents.zero
        try decode(delta, onto: &page)
        #expect(page == new)
    }

    @Test(arguments: [0, 1, 2])
    func `an encoder given less than pages traps`(short: Int) async {
        await #expect(processExitsWith: .failure) { [short = short as Int] in
            let lengths = (0..<3).map { $0 == short ? pageByteCount - 1 : pageByteCount }
            let old = [UInt8](repeating: 0, count: lengths[0])
            let new = [UInt8](repeating: 0, count: lengths[1])
            var output = [UInt8](repeating: 0, count: lengths[2])
            var span = output.mutableSpan
            var bytes = unsafe span.mutableBytes
            _ = unsafe XBZRLE.encode(old: old.span.bytes, new: new.span.bytes, into: &bytes)
        }
    }

    // MARK: Decoding

    struct Refused: Sendable, CustomTestStringConvertible {
        let what: String
        let delta: [UInt8]
        let reason: XBZRLE.Malformed
        var testDescription: String { what }
    }

    @Test(arguments: [
        Refused(what: "one byte", delta: [1], reason: .truncated),
        Refused(what: "no differing run", delta: [1, 0x80], reason: .truncated),
        Refused(what: "one byte of a differing run", delta: [0x80, 1, 1], reason: .truncated),
        Refused(what: "no new bytes", delta: [1, 1], reason: .truncated),
        Refused(what: "too few new bytes", delta: [1, 3, 9, 9], reason: .truncated),
        Refused(what: "one byte after a pair", delta: [1, 1, 9, 1], reason: .truncated),
        Refused(what: "empty differing run", delta: [1, 0, 0], reason: .emptyRun),
        Refused(what: "empty later equal run", delta: [0, 1, 9, 0, 1, 9], reason: .emptyRun),
        Refused(
            what: "empty later equal run in two bytes", delta: [0, 1, 9, 0x80, 0, 1, 9],
            reason: .emptyRun),
        Refused(what: "equal run of three bytes", delta: [0x80, 0x80, 1, 1], reason: .runLength),
        Refused(
            what: "differing run of three bytes", delta: [1, 0x81, 0x80, 0, 9],
            reason: .runLength),
        Refused(what: "equal run past the page", delta: [0x81, 0x20, 1, 9], reason: .pastPage),
        Refused(what: "longest equal run", delta: [0xff, 0x7f, 1, 9], reason: .pastPage),
        Refused(
            what: "differing run past the page", delta: [0xff, 0x1f, 2, 9, 9],
            reason: .pastPage),
        Refused(
            what: "differing run after an equal page", delta: [0x80, 0x20, 1, 9],
            reason: .pastPage),
    ])
    func `a malformed delta is refused`(_ refused: Refused) {
        var page = text
        #expect(throws: refused.reason) { try decode(refused.delta, onto: &page) }
        #expect(PlainXBZRLE.decode(refused.delta, onto: text) == nil)
    }

    @Test(
        arguments: [
            [],  // Nothing changes.
            [0x80, 0, 1, 9],  // A run length in more bytes than it needs.
            [0, 0x81, 0, 9],
            [0xff, 0x1f, 1, 9],  // A run that ends at the end of the page.
            [0, 1, 9, 0xfe, 0x1f, 1, 9],
        ] as [[UInt8]])
    func `what QEMU accepts is accepted`(delta: [UInt8]) throws {
        var page = text
        try decode(delta, onto: &page)
        #expect(page == PlainXBZRLE.decode(delta, onto: text))
    }

    @Test func `a delta can replace the whole page`() throws {
        var random = SeededRandom(seed: 5)
        let new = PageContents.random(using: &random)
        var page = text
        try decode([0] + PlainXBZRLE.runLength(pageByteCount) + new, onto: &page)
        #expect(page == new)
    }

    @Test func `runs before a fault stay applied`() {
        var page = PageContents.zero
        #expect(throws: XBZRLE.Malformed.truncated) {
            try decode([2, 1, 9, 1], onto: &page)
        }
        #expect(page[..<4] == [0, 0, 9, 0])
    }

    @Test(arguments: 0..<400 as Range<UInt64>)
    func `any bytes decode as the plain decoder has it`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var (old, new) = pages(using: &random)
        var delta = PlainXBZRLE.encode(old: old, new: new) ?? []
        // Half of the seeds harm a good delta, the others take bytes that never were one.
        if seed.isMultiple(of: 2), !delta.isEmpty {
            let at = Int.random(in: 0..<delta.count, using: &random)
            delta[at] = UInt8.random(in: 0...255, using: &random)
        } else {
            let count = Int.random(in: 0...40, using: &random)
            delta = (0..<count).map { _ in UInt8.random(in: 0...12, using: &random) }
        }
        let expected = PlainXBZRLE.decode(delta, onto: old)
        do {
            try decode(delta, onto: &old)
            #expect(old == expected)
        } catch {
            #expect(expected == nil)
        }
    }

    @Test func `a decoder given less than a page traps`() async {
        await #expect(processExitsWith: .failure) {
            var page = [UInt8](repeating: 0, count: pageByteCount - 1)
            let delta: [UInt8] = []
            var span = page.mutableSpan
            var bytes = unsafe span.mutableBytes
            _ = unsafe try? XBZRLE.decode(delta.span.bytes, onto: &bytes)
        }
    }

    // MARK: Helpers

    /// What an encoder came to, with the bytes.
    enum Result: Equatable {
        case unchanged
        case delta([UInt8])
        case overflow

        var byteCount: Int? {
            guard case .delta(let bytes) = self else { return nil }
            return bytes.count
        }
    }

    private let text: [UInt8] = {
        var random = SeededRandom(seed: 1)
        return PageContents.text(using: &random)
    }()

    /// An old and a new page of one of the kinds that guests write.
    private func pages(using random: inout SeededRandom) -> (old: [UInt8], new: [UInt8]) {
        let old =
            Bool.random(using: &random)
            ? PageContents.text(using: &random) : PageContents.random(using: &random)
        if Bool.random(using: &random) {
            let probability = [0.001, 0.1, 0.2, 0.5, 0.9][
                Int.random(in: 0..<5, using: &random)]
            return (
                old, PageContents.changing(old, probability: probability, using: &random)
            )
        }
        let runs = Int.random(in: 0...40, using: &random)
        let byteCount = Int.random(in: 1...300, using: &random)
        return (
            old,
            PageContents.changing(old, runs: runs, byteCount: byteCount, using: &random)
        )
    }

    private func encode(old: [UInt8], new: [UInt8]) -> Result {
        var output = [UInt8](repeating: 0, count: pageByteCount)
        var span = output.mutableSpan
        var bytes = unsafe span.mutableBytes
        let encoded = unsafe XBZRLE.encode(
            old: old.span.bytes, new: new.span.bytes, into: &bytes)
        switch encoded {
        case .unchanged: return .unchanged
        case .delta(let byteCount): return .delta(Array(output[..<byteCount]))
        case .overflow: return .overflow
        }
    }

    private func plain(old: [UInt8], new: [UInt8]) -> Result {
        guard let delta = PlainXBZRLE.encode(old: old, new: new) else { return .overflow }
        return delta.isEmpty ? .unchanged : .delta(delta)
    }

    private func decode(
        _ delta: [UInt8], onto page: inout [UInt8]
    ) throws(XBZRLE.Malformed) {
        var span = page.mutableSpan
        var bytes = unsafe span.mutableBytes
        try unsafe XBZRLE.decode(delta.span.bytes, onto: &bytes)
    }
}
