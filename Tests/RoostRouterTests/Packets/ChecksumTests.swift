import RoostMemory
import TestSupport
import Testing

@testable import RoostRouter

@Suite("Checksums")
struct ChecksumTests {
    /// The sum of RFC 1071, section 4.1, word by word.
    private static func plainSum(_ bytes: ArraySlice<UInt8>) -> UInt16 {
        var sum: UInt32 = 0
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let low = index + 1 < bytes.endIndex ? bytes[index + 1] : 0
            sum += UInt32(bytes[index]) << 8 | UInt32(low)
            sum = sum >> 16 + sum & 0xFFFF
            index += 2
        }
        return UInt16(sum)
    }

    @Test(
        "NET-13: the fast sum equals the plain one at every length and alignment", arguments: 0..<8)
    func lengths(start: Int) {
        var random = SeededRandom(seed: UInt64(start))
        let bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
        for end in start...bytes.count {
            let fast = unsafe bytes.span.bytes.extracting(start..<end).onesComplementSum
            #expect(fast == Self.plainSum(bytes[start..<end]), "length \(end - start)")
        }
    }

    @Test(
        "NET-13: no carry is lost", arguments: [UInt8(0), 1, 0x80, 0xFF],
        [0, 1, 7, 65_535, 1 << 20])
    func carries(byte: UInt8, count: Int) {
        let bytes = [UInt8](repeating: byte, count: count)
        let fast = unsafe bytes.span.bytes.onesComplementSum
        #expect(fast == Self.plainSum(bytes[...]))
    }

    /// A full checksum over a word and the sum of the others.
    private static func full(_ word: UInt16, _ others: UInt16) -> UInt16 {
        let sum = UInt32(word) &+ UInt32(others)
        return ~UInt16(truncatingIfNeeded: sum >> 16 &+ sum)
    }

    /// The others run through all 65,536 sums, and so does the checksum.
    ///
    /// A header has a version, so that its words are never all zero. A checksum of 0 may also be
    /// written as 0xFFFF.
    @Test(
        "NET-13: an incremental checksum equals the full one for every time to live and every sum",
        arguments: UInt16(0)...255)
    func incremental(timeToLive: UInt16) {
        let old = timeToLive << 8 | UInt16(IPProtocol.udp)
        let new = old &- 0x100
        var different = 0
        for others in UInt16(1)...UInt16.max {
            let before = Self.full(old, others)
            let after = Self.full(new, others)
            if InternetChecksum.updated(before, replacing: old, with: new) != after {
                different += 1
            }
            if before == 0,
                InternetChecksum.updated(0xFFFF, replacing: old, with: new) != after
            {
                different += 1
            }
        }
        #expect(different == 0)
    }

    @Test(
        "NET-13: any word changed in any way leaves a checksum that verifies",
        arguments: 1...4 as ClosedRange<UInt64>)
    func words(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let edges: [UInt16] = [0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]
        var different = 0
        for _ in 0..<2000 {
            let others = max(UInt16.random(in: 0...UInt16.max, using: &random), 1)
            for old in edges {
                for new in edges {
                    let before = Self.full(old, others)
                    let after = InternetChecksum.updated(before, replacing: old, with: new)
                    if after != Self.full(new, others) { different += 1 }
                }
            }
        }
        #expect(different == 0)
    }

    @Test(
        "NET-13: a header's time to live goes down in place with its checksum", arguments: 1...255)
    func header(timeToLive: Int) throws {
        var bytes = [UInt8](repeating: 0, count: 20)
        for identification in [UInt16(0), 1, 0x1234, 0xFFFF] {
            bytes.withSpan { output in
                IPv4Header.write(
                    source: IPv4Address(rawValue: 0xC000_0201),
                    destination: IPv4Address(rawValue: 0xC633_6401),
                    protocolNumber: IPProtocol.udp, totalByteCount: 20,
                    identification: identification, timeToLive: UInt8(timeToLive),
                    into: &output, at: 0)
                IPv4Header.decrementTimeToLive(&output, at: 0)
            }
            let header = try IPv4Header(unsafe bytes.span.bytes, at: 0)
            #expect(Int(header.timeToLive) == timeToLive - 1)
            let updated = bytes
            bytes.withSpan { IPv4Header.finishChecksum(&$0, at: 0, headerByteCount: 20) }
            #expect(bytes == updated)
        }
    }
}
