import RoostMemory
import TestSupport
import Testing

@_spi(Fuzzing) @testable import RoostRouter

@Suite("Captured packets")
struct CaptureTests {
    @Test(
        "NET-13: every captured packet is read, and its checksums are right",
        arguments: Capture.names)
    func reading(name: String) throws {
        for bytes in try Capture(name).frames {
            let parsed = try ParsedFrame(bytes)
            let frame = unsafe bytes.span.bytes
            #expect(parsed.arp != nil || parsed.ipv4 != nil || parsed.ipv6 != nil)
            if let header = parsed.ipv4, !header.isFragment {
                let isRight = InternetChecksum.isTransportRight(frame, header)
                #expect(isRight)
            }
            if let header = parsed.ipv6, let upper = parsed.upper, !upper.isFragment {
                let isRight = InternetChecksum.isTransportRight(frame, header, upper)
                #expect(isRight)
            }
            #expect((parsed.ipv4?.end ?? parsed.ipv6?.end ?? bytes.count) == bytes.count)
        }
    }

    @Test(
        "NET-13: any one bit flipped in a header's fields of IPv4 is noticed",
        arguments: ["arp-ping", "tcp-udp", "fragments-before"])
    func headerBits(name: String) throws {
        for bytes in try Capture(name).frames.prefix(12) {
            guard let header = try ParsedFrame(bytes).ipv4 else { continue }
            for bit in header.offset * 8..<header.payloadOffset * 8 {
                var changed = bytes
                changed[bit / 8] ^= 0x80 >> (bit % 8)
                let failure = changed.failure { frame throws(PacketError) in
                    _ = try IPv4Header(frame, at: header.offset)
                }
                #expect(failure != nil, "bit \(bit)")
            }
        }
    }

    @Test("NET-13: a packet cut anywhere is refused", arguments: Capture.names)
    func cuts(name: String) throws {
        for bytes in try Capture(name).frames {
            let parsed = try ParsedFrame(bytes)
            guard let offset = parsed.ipv4?.offset ?? parsed.ipv6?.offset else { continue }
            for count in [0, 13, offset, offset + 19, bytes.count / 2, bytes.count - 1] {
                let cut = Array(bytes[..<count])
                let failure = cut.failure { frame throws(PacketError) in
                    let link = try EthernetHeader(frame)
                    if link.etherType == EtherType.ipv4 {
                        _ = try IPv4Header(frame, at: link.payloadOffset)
                    } else {
                        _ = try IPv6Header(frame, at: link.payloadOffset)
                    }
                }
                #expect(failure == .truncated || failure == .totalLength)
            }
        }
    }

    @Test("NET-13: padding of the link is no part of a packet", arguments: [1, 18, 500])
    func padding(count: Int) throws {
        for bytes in try Capture("tcp-udp").frames {
            let plain = try ParsedFrame(bytes)
            let padded = try ParsedFrame(bytes + [UInt8](repeating: 0xEE, count: count))
            #expect(padded.ipv4 == plain.ipv4)
            #expect(padded.ipv6 == plain.ipv6)
        }
    }

    @Test(
        "any cut and any flipped bits of a packet give a value or an error",
        arguments: Capture.names)
    func hostile(name: String) throws {
        var random = SeededRandom(seed: 1)
        for bytes in try Capture(name).frames {
            for count in stride(from: 0, to: min(bytes.count, 160), by: 7) {
                PacketFuzzing.check(Array(bytes[..<count]))
            }
            for _ in 0..<8 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let place = Int.random(in: 0..<min(changed.count, 120), using: &random)
                    changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
                PacketFuzzing.check(changed)
            }
        }
    }

    /// The EtherType and the version are given, as random ones hardly ever go further; the checksum
    /// of IPv4 is made right.
    @Test("any bytes give a value or an error", arguments: 1...4 as ClosedRange<UInt64>)
    func random(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            let count = Int.random(in: 0...200, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            if count >= 100 {
                let isIPv6 = Bool.random(using: &random)
                bytes.replaceSubrange(12..<14, with: isIPv6 ? [0x86, 0xDD] : [0x08, 0x00])
                bytes[14] = isIPv6 ? 0x60 : 0x46 + UInt8.random(in: 0..<5, using: &random)
                bytes.replaceSubrange(isIPv6 ? 18..<20 : 16..<18, with: [0, UInt8(count - 54)])
                if isIPv6 {
                    bytes[20] = [0, 43, 44, 58, 60].randomElement(using: &random) ?? 0
                } else {
                    let length = Int(bytes[14] & 15) * 4
                    bytes.withSpan {
                        IPv4Header.finishChecksum(&$0, at: 14, headerByteCount: length)
                    }
                }
            }
            PacketFuzzing.check(bytes)
        }
    }
}
