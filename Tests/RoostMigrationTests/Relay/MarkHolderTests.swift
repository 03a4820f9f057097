import RoostMemory
import TestSupport
import Testing

@testable import RoostMigration

/// What is held back of a stream, since it may be the mark at which a destination starts its guest.
@Suite(.timeLimit(.minutes(1))) struct MarkHolderTests {
    /// What passes of some bytes that come in pieces, and what is held in the end.
    private static func pass(
        _ bytes: [UInt8], pieces: [Int] = [.max]
    ) -> (passed: [UInt8], held: [UInt8]) {
        var holder = MarkHolder()
        var passed: [UInt8] = []
        var position = 0
        var piece = 0
        while position < bytes.count {
            let end = min(bytes.count, position + min(pieces[piece % pieces.count], bytes.count))
            let next = Array(bytes[position..<end])
            try? holder.take(unsafe next.span.bytes) { passed += [UInt8](copying: $0) }
            #expect(passed.count + holder.heldByteCount == end)
            position = end
            piece += 1
        }
        var held: [UInt8] = []
        try? holder.release { held += [UInt8](copying: $0) }
        return (passed, held)
    }

    /// The rule, written down without a thought for its cost.
    private static func plain(_ bytes: [UInt8]) -> Int {
        for start in bytes.indices where bytes[start] == 0 {
            let rest = Array(bytes[start...])
            if rest.count == 1 { return start }
            guard rest[1] == 6 else { continue }
            guard rest.count > 5 else { return start }
            let length = rest[2...5].reduce(0) { $0 << 8 | Int($1) }
            guard length >= 2, length <= 16 << 20 else { continue }
            guard rest.count > 6 else { return start }
            guard rest[6] == UInt8(ascii: "{") else { continue }
            if rest.count < 6 + length { return start }
            if rest.count == 6 + length, rest[rest.count - 1] == UInt8(ascii: "}") { return start }
        }
        return bytes.count
    }

    private static let described: [UInt8] = [0, 6, 0, 0, 0, 4] + Array("{ab}".utf8)

    @Test func `a mark with nothing behind it is held`() {
        let (passed, held) = Self.pass([4, 9, 0x7e, 0, 0, 0, 2, 0])
        #expect(passed == [4, 9, 0x7e, 0, 0, 0, 2] && held == [0])
    }

    @Test func `a mark with its description is held as far as it has come`() {
        for count in 1...Self.described.count {
            let (passed, held) = Self.pass([1, 2] + Self.described.prefix(count), pieces: [1])
            #expect(passed == [1, 2] && held == Array(Self.described.prefix(count)))
        }
    }

    @Test func `what something else follows passes`() {
        for bytes: [UInt8] in [
            [0, 1], [0, 6, 0, 0, 0, 1, 0x7b, 1], [0, 6, 2, 0, 0, 0, 1], [0, 6, 0, 0, 0, 4, 1],
            Self.described + [1], Self.described.dropLast() + [1],
        ] {
            #expect(Self.pass(bytes, pieces: [1]) == (bytes, []))
        }
    }

    @Test func `of many zeros only the last is held`() {
        let (passed, held) = Self.pass([UInt8](repeating: 0, count: 100_000), pieces: [7, 4096])
        #expect(passed.count == 99_999 && held == [0])
    }

    @Test(arguments: UInt64(0)..<400)
    func `it holds what the rule says, in any pieces`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...60, using: &random) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes += Self.described.prefix(Int.random(in: 1...10, using: &random))
            case 1: bytes += [0, 6, 0, 0, 0, UInt8.random(in: 0...40, using: &random), 0x7b]
            case 2: bytes.append(0x7d)
            default:
                bytes.append([0, 0, 6, 0x7b, 0x7d, 1][Int.random(in: 0..<6, using: &random)])
            }
        }
        let pieces = (0..<8).map { _ in Int.random(in: 1...24, using: &random) }
        let (passed, held) = Self.pass(bytes, pieces: pieces)
        #expect(passed + held == bytes)
        // What was let through once cannot be held again, so each prefix has its say.
        var most = 0
        var position = 0
        var piece = 0
        while position < bytes.count {
            position = min(bytes.count, position + pieces[piece % pieces.count])
            piece += 1
            most = max(most, Self.plain(Array(bytes[..<position])))
        }
        #expect(passed.count == most)
    }

    /// Bytes that look like marks inside marks: were each looked through, this would take hours.
    @Test func `hostile bytes cost no more than others`() {
        let nested = (0..<1_000_000).flatMap { _ in [0, 6, 0, 0xff, 0xff, 0xff, 0x7b] as [UInt8] }
        let (passed, held) = Self.pass(nested, pieces: [1 << 20])
        #expect(passed.count + held.count == nested.count)
        #expect(held.count <= 16 << 20 + 6)
        let short = (0..<1_000_000).flatMap { _ in [0, 6, 0, 0, 0, 7, 0x7b] as [UInt8] }
        #expect(Self.pass(short, pieces: [4096]).held.count < 32)
    }
}
