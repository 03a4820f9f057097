import CPeers
import RoostMemory

extension Comparison {
    /// The zero test and XBZRLE, a page a call.
    static func pageKernels() -> [Comparison] {
        var comparisons = [
            zeroTest("256 KiB of zeros", byteCount: 256 << 10),
            zeroTest("1 GiB of zeros", byteCount: 1 << 30),
        ]
        for input in PagePairs.Input.allCases {
            comparisons.append(
                pairs("XBZRLE encode", input) {
                    Passes(roost: $0.encode, peer: $0.encodeInC)
                })
        }
        // Of identical pages there is no delta to decode.
        for input in PagePairs.Input.allCases where input != .identical {
            comparisons.append(
                pairs("XBZRLE decode", input) {
                    Passes(roost: $0.decode, peer: $0.decodeInC)
                })
        }
        return comparisons
    }

    private static func zeroTest(_ input: String, byteCount: Int) -> Comparison {
        Comparison(work: "zero test", input: input, byteCount: byteCount) {
            let memory = try ZeroMemory(byteCount: byteCount)
            return Passes(roost: memory.count, peer: memory.countInC)
        }
    }

    private static func pairs(
        _ work: String, _ input: PagePairs.Input, _ passes: @escaping (PagePairs) -> Passes
    ) -> Comparison {
        Comparison(work: work, input: input.rawValue, byteCount: PagePairs.byteCount) {
            let pairs = try PagePairs(input)
            try pairs.check()
            return passes(pairs)
        }
    }
}

/// Memory that is zero, each page with a frame of its own.
private final class ZeroMemory {
    private let memory: MappedRegion

    init(byteCount: Int) throws {
        var memory = try MappedRegion.anonymous(byteCount: byteCount)
        // Untouched pages would all be the kernel's one zero page, and stay in cache.
        var bytes = memory.mutableBytes
        bytes.fill(with: 0)
        self.memory = memory
    }

    func count() -> Int { zeroPages(of: memory) }
    func countInC() -> Int { zeroPagesInC(of: memory) }
}

/// Room for a delta that no limit applies to: one changed byte in two takes three.
private let deltaByteCount = 2 * pageByteCount

/// Old and new pages, and what encoding and decoding them needs.
private final class PagePairs {
    /// How the new pages differ from the old.
    enum Input: String, CaseIterable {
        case identical = "identical"
        case runs = "8 runs of 8 bytes"
        case stripes = "4 bytes in each 64"
        case half = "each byte with p = 1/2"
        case all = "all bytes"
    }

    /// Enough pages that branches are not learned by heart, few enough to stay in cache.
    private static let pageCount = 64
    static let byteCount = pageCount * pageByteCount
    private let old: MappedRegion
    private let new: MappedRegion
    private let deltas: MappedRegion
    private let deltaLengths: [Int]
    private var output: MappedRegion

    init(_ input: Input) throws {
        var random = SeededRandom(seed: 2015)
        var old = try MappedRegion.anonymous(byteCount: Self.byteCount)
        var new = try MappedRegion.anonymous(byteCount: Self.byteCount)
        var deltas = try MappedRegion.anonymous(byteCount: Self.pageCount * deltaByteCount)
        var deltaLengths: [Int] = []
        for page in 0..<Self.pageCount {
            let before = PageContents.text(using: &random)
            let after = Self.change(before, input, using: &random)
            let delta = Self.plainDelta(old: before, new: after)
            store(before, at: page * pageByteCount, in: &old)
            store(after, at: page * pageByteCount, in: &new)
            store(delta, at: page * deltaByteCount, in: &deltas)
            deltaLengths.append(delta.count)
        }
        self.old = old
        self.new = new
        self.deltas = deltas
        self.deltaLengths = deltaLengths
        output = try MappedRegion.anonymous(byteCount: Self.byteCount)
    }

    private static func change(
        _ page: [UInt8], _ input: Input, using random: inout SeededRandom
    ) -> [UInt8] {
        switch input {
        case .identical: return page
        case .runs:
            return PageContents.changing(page, runs: 8, byteCount: 8, using: &random)
        case .stripes:
            return page.enumerated().map { $0.offset % 64 < 4 ? ~$0.element : $0.element }
        case .half: return PageContents.changing(page, probability: 0.5, using: &random)
        case .all: return page.map { ~$0 }
        }
    }

    /// The delta byte by byte, of any length: the decoders take those that encoders give up on.
    private static func plainDelta(old: [UInt8], new: [UInt8]) -> [UInt8] {
        var delta: [UInt8] = []
        var position = 0
        while position < pageByteCount {
            let changed =
                (position..<pageByteCount).first { old[$0] != new[$0] } ?? pageByteCount
            guard changed < pageByteCount else { break }
            let end = (changed..<pageByteCount).first { old[$0] == new[$0] } ?? pageByteCount
            for length in [changed - position, end - changed] {
                delta +=
                    length < 0x80
                    ? [UInt8(length)] : [UInt8(length & 0x7f | 0x80), UInt8(length >> 7)]
            }
            delta += new[changed..<end]
            position = end
        }
        return delta
    }

    func encode() -> Int { Workloads.encode(old: old, new: new, into: &output) }
    func encodeInC() -> Int { Workloads.encodeInC(old: old, new: new, into: &output) }

    // Applying the deltas to `output` again changes nothing and is the same work.
    func decode() -> Int { Workloads.decode(deltas, lengths: deltaLengths, onto: &output) }
    func decodeInC() -> Int { Workloads.decodeInC(deltas, lengths: deltaLengths, onto: &output) }

    /// Encodes and decodes with both and compares every byte; leaves the old pages in `output`.
    func check() throws {
        guard try results(of: encode) == results(of: encodeInC) else {
            throw Disagreement(description: "the encoders differ")
        }
        let decoded = try results(of: decode)
        let newPages = contents(new)
        guard try decoded == results(of: decodeInC), decoded.bytes == newPages else {
            throw Disagreement(description: "the decoders differ, or do not give the new pages")
        }
    }

    private struct Results: Equatable {
        let sum: Int
        let bytes: [UInt8]
    }

    private func results(of pass: () -> Int) throws -> Results {
        copy(old, to: &output)
        let sum = pass()
        return Results(sum: sum, bytes: contents(output))
    }
}

// The passes borrow regions as parameters: a span of a class's stored region would not outlive
// the access to it.

private func zeroPages(of memory: borrowing MappedRegion) -> Int {
    let bytes = memory.bytes
    var count = 0
    for start in stride(from: 0, to: bytes.byteCount, by: pageByteCount) {
        let page = bytes.extracting(start..<start &+ pageByteCount)
        count &+= page.isZero ? 1 : 0
    }
    return count
}

private func zeroPagesInC(of memory: borrowing MappedRegion) -> Int {
    let bytes = memory.bytes
    return unsafe bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return 0 }
        var count = 0
        for start in stride(from: 0, to: buffer.count, by: pageByteCount) {
            count &+= unsafe Int(cpeers_is_zero(base + start, pageByteCount))
        }
        return count
    }
}

private func encode(
    old: borrowing MappedRegion, new: borrowing MappedRegion, into output: inout MappedRegion
) -> Int {
    let old = old.bytes
    let new = new.bytes
    var output = output.mutableBytes
    var sum = 0
    for start in stride(from: 0, to: old.byteCount, by: pageByteCount) {
        let page = start..<start &+ pageByteCount
        var target = output._mutatingExtracting(page)
        let encoded = XBZRLE.encode(
            old: old.extracting(page), new: new.extracting(page), into: &target)
        switch encoded {
        case .unchanged: break
        case .delta(let byteCount): sum &+= byteCount
        case .overflow: sum &-= 1
        }
    }
    return sum
}

private func encodeInC(
    old: borrowing MappedRegion, new: borrowing MappedRegion, into output: inout MappedRegion
) -> Int {
    let old = old.bytes
    let new = new.bytes
    var output = output.mutableBytes
    return unsafe old.withUnsafeBytes { old in
        unsafe new.withUnsafeBytes { new in
            unsafe output.withUnsafeMutableBytes { output in
                guard let old = old.baseAddress, let new = new.baseAddress,
                    let base = output.baseAddress
                else { return 0 }
                var sum = 0
                for start in stride(from: 0, to: output.count, by: pageByteCount) {
                    sum &+= unsafe Int(
                        cpeers_xbzrle_encode(old + start, new + start, base + start))
                }
                return sum
            }
        }
    }
}

private func decode(
    _ deltas: borrowing MappedRegion, lengths: [Int], onto output: inout MappedRegion
) -> Int {
    let deltas = deltas.bytes
    var output = output.mutableBytes
    var sum = 0
    for page in 0..<lengths.count {
        let start = page &* pageByteCount
        let first = page &* deltaByteCount
        var target = output._mutatingExtracting(start..<start &+ pageByteCount)
        do {
            try XBZRLE.decode(
                deltas.extracting(first..<first &+ lengths[page]), onto: &target)
        } catch {
            sum &-= 1
        }
    }
    return sum
}

private func decodeInC(
    _ deltas: borrowing MappedRegion, lengths: [Int], onto output: inout MappedRegion
) -> Int {
    let deltas = deltas.bytes
    var output = output.mutableBytes
    return unsafe deltas.withUnsafeBytes { deltas in
        unsafe output.withUnsafeMutableBytes { output in
            guard let first = deltas.baseAddress, let base = output.baseAddress else {
                return 0
            }
            var sum = 0
            for page in 0..<lengths.count {
                sum &+= unsafe Int(
                    cpeers_xbzrle_decode(
                        first + page &* deltaByteCount, lengths[page],
                        base + page &* pageByteCount))
            }
            return sum
        }
    }
}

private func store(_ bytes: [UInt8], at offset: Int, in region: inout MappedRegion) {
    var target = region.mutableBytes
    for (index, byte) in bytes.enumerated() {
        target.storeBytes(of: byte, toByteOffset: offset + index, as: UInt8.self)
    }
}

private func copy(_ source: borrowing MappedRegion, to target: inout MappedRegion) {
    var bytes = target.mutableBytes
    bytes.replaceAll(with: source.bytes)
}

private func contents(_ region: borrowing MappedRegion) -> [UInt8] {
    let bytes = region.bytes
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
}
