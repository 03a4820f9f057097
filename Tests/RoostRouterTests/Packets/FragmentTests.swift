import RoostMemory
import TestSupport
import Testing

@testable import RoostRouter

@Suite("Fragments")
struct FragmentTests {
    /// Any packet, perhaps a fragment itself, with options or without.
    private func packet(using random: inout SeededRandom) -> [UInt8] {
        let optionCount = Int.random(in: 0...10, using: &random) * 4
        var options: [UInt8] = []
        while options.count < optionCount {
            let left = optionCount - options.count
            let length = Int.random(in: 1...max(min(left, 11), 1), using: &random)
            let kind = UInt8.random(in: 2...255, using: &random)
            options +=
                length == 1
                ? [IPv4Options.Kind.noOperation]
                : [kind, UInt8(length)] + [UInt8](repeating: 0x11, count: length - 2)
        }
        let payload = (0..<Int.random(in: 1...3000, using: &random)).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        let isFirst = Bool.random(using: &random)
        let fragment =
            (isFirst ? 0 : UInt16.random(in: 0...7000, using: &random))
            | (Bool.random(using: &random) ? IPv4Header.moreFragmentsBit : 0)
        var bytes = [UInt8](repeating: 0, count: 20) + options + payload
        let count = bytes.count
        bytes.withSpan {
            IPv4Header.write(
                source: IPv4Address(rawValue: 0xC000_0201),
                destination: IPv4Address(rawValue: 0xC633_6401), protocolNumber: 17,
                totalByteCount: count, identification: 7, fragment: fragment, into: &$0, at: 0)
            $0.storeBigEndian(0x45 + UInt8(optionCount / 4), at: 0)
            IPv4Header.finishChecksum(&$0, at: 0, headerByteCount: 20 + optionCount)
        }
        return bytes
    }

    private func fragments(of bytes: [UInt8], mtu: Int) throws -> [[UInt8]]? {
        let frame = unsafe bytes.span.bytes
        guard var fragmenter = IPv4Fragmenter(try IPv4Header(frame, at: 0), mtu: mtu)
        else { return nil }
        var pieces: [[UInt8]] = []
        var room = [UInt8](repeating: 0, count: mtu)
        var count: Int?
        repeat {
            room.withSpan { count = fragmenter.next(from: frame, into: &$0, at: 0) }
            if let count { pieces.append(Array(room[..<count])) }
        } while count != nil
        return pieces
    }

    private func copiedOptions(_ bytes: [UInt8], _ header: IPv4Header) -> [[UInt8]] {
        var copied: [[UInt8]] = []
        let frame = unsafe bytes.span.bytes
        var offset = 20
        while offset < header.headerByteCount, bytes[offset] != IPv4Options.Kind.end,
            let length = IPv4Options.length(in: frame, at: offset, before: header.headerByteCount)
        {
            if bytes[offset] & 0x80 != 0 { copied.append(Array(bytes[offset..<offset + length])) }
            offset += length
        }
        return copied
    }

    @Test(
        "NET-13: fragments are small enough, have the copied options, and make up the packet",
        arguments: 1...40 as ClosedRange<UInt64>)
    func whole(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<20 {
            let bytes = packet(using: &random)
            let header = try IPv4Header(unsafe bytes.span.bytes, at: 0)
            let mtu = Int.random(in: 68...1500, using: &random)
            let pieces = try #require(try fragments(of: bytes, mtu: mtu))
            var payload: [UInt8] = []
            for (index, piece) in pieces.enumerated() {
                let part = try IPv4Header(unsafe piece.span.bytes, at: 0)
                #expect(piece.count <= mtu && part.totalByteCount == piece.count)
                #expect(part.identification == header.identification)
                #expect(part.fragmentByteOffset == header.fragmentByteOffset + payload.count)
                let isLast = index == pieces.count - 1
                #expect(part.moreFragments == (!isLast || header.moreFragments))
                #expect(copiedOptions(piece, part) == copiedOptions(bytes, header))
                payload += piece[part.headerByteCount...]
            }
            #expect(payload == Array(bytes[header.headerByteCount...]))
        }
    }

    @Test(
        "NET-13: a link that cannot take a header and 8 bytes gets no fragments",
        arguments: [(0, false), (27, false), (28, true), (35, true)])
    func least(mtu: Int, isPossible: Bool) throws {
        var bytes = [UInt8](repeating: 0, count: 120)
        bytes.withSpan {
            IPv4Header.write(
                source: .unspecified, destination: .unspecified, protocolNumber: 17,
                totalByteCount: 120, into: &$0, at: 0)
        }
        let pieces = try fragments(of: bytes, mtu: mtu)
        #expect((pieces?.count == 13) == isPossible)
    }

    @Test(
        "NET-13: a fragment past the largest packet is not cut", arguments: [(7, true), (8, false)])
    func largest(byteCount: Int, isPossible: Bool) throws {
        var bytes = [UInt8](repeating: 0, count: 20 + byteCount)
        bytes.withSpan {
            IPv4Header.write(
                source: .unspecified, destination: .unspecified, protocolNumber: 17,
                totalByteCount: 20 + byteCount, fragment: 0x1FFF, into: &$0, at: 0)
        }
        let pieces = try fragments(of: bytes, mtu: 68)
        #expect((pieces != nil) == isPossible)
    }
}
