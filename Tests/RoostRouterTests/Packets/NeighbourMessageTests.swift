import RoostMemory
import Testing

@testable import RoostRouter

@Suite("Neighbour discovery messages")
struct NeighbourMessageTests {
    private let router = IPv6Address(high: 0xFE80 << 48, low: 0xFE)
    private let host = IPv6Address(high: 0x2001_0DB8 << 32, low: 1)
    private let hardware = MACAddress(rawValue: 0x0200_0000_01FE)

    /// A packet that a function writes, then changed, with its checksum made right.
    private func packet(
        _ write: (inout MutableRawSpan) -> Int, change: (inout [UInt8]) -> Void = { _ in }
    ) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1280)
        var count = 0
        bytes.withSpan { count = write(&$0) }
        bytes.removeSubrange(count...)
        change(&bytes)
        let header = try IPv6Header(unsafe bytes.span.bytes, at: 0)
        bytes.withSpan {
            $0.storeBigEndian(UInt16(0), at: 42)
            ICMPMessage.finishChecksum(
                &$0, at: 40, byteCount: header.payloadByteCount, from: header.source,
                to: header.destination)
        }
        return bytes
    }

    private func read(_ bytes: [UInt8]) throws -> NeighbourMessage {
        let frame = unsafe bytes.span.bytes
        let header = try IPv6Header(frame, at: 0)
        return try NeighbourMessage(frame, header, try IPv6UpperLayer(frame, header))
    }

    private func failure(_ bytes: [UInt8]) -> PacketError? {
        bytes.failure { frame throws(PacketError) in
            let header = try IPv6Header(frame, at: 0)
            _ = try NeighbourMessage(frame, header, try IPv6UpperLayer(frame, header))
        }
    }

    private func solicitation(_ change: (inout [UInt8]) -> Void = { _ in }) throws -> [UInt8] {
        try packet(
            {
                NeighbourMessage.writeSolicitation(
                    for: host, from: router, hardware: hardware, into: &$0, at: 0)
            }, change: change)
    }

    @Test("NET-13: a solicitation is refused for each rule it breaks")
    func rules() throws {
        #expect(failure(try solicitation()) == nil)
        #expect(failure(try solicitation { $0[7] = 254 }) == .hopLimit)
        #expect(failure(try solicitation { $0[41] = 1 }) == .code)
        #expect(failure(try solicitation { $0[40] = 138 }) == .operation)
        #expect(failure(try solicitation { $0[65] = 0 }) == .optionLength)
        #expect(failure(try solicitation { $0[65] = 2 }) == .optionLength)
        #expect(failure(try solicitation { $0[48] = 0xFF }) == .address)
        // Cut behind the fixed part, and within it.
        let bare = try solicitation {
            $0.removeLast(8)
            $0[5] = 24
        }
        #expect(failure(bare) == nil)
        let cut = try solicitation {
            $0.removeLast(16)
            $0[5] = 16
        }
        #expect(failure(cut) == .truncated)
        var wrong = try solicitation()
        wrong[70] ^= 1
        #expect(failure(wrong) == .checksum)
    }

    @Test("NET-13: a question from nobody goes to the group and says no link-layer address")
    func probe() throws {
        let probe = try packet {
            NeighbourMessage.writeSolicitation(
                for: host, from: .unspecified, hardware: hardware, into: &$0, at: 0)
        }
        let message = try read(probe)
        #expect(message.sourceLink == nil)
        #expect(message.destination == host.solicitedNodeGroup)
        let toOne = try packet {
            NeighbourMessage.writeSolicitation(
                for: host, from: .unspecified, hardware: hardware, to: host, into: &$0, at: 0)
        }
        #expect(failure(toOne) == .address)
        let speaking = try solicitation {
            $0.replaceSubrange(8..<24, with: [UInt8](repeating: 0, count: 16))
        }
        #expect(failure(speaking) == .address)
    }

    @Test("NET-13: an advertisement says what was put in, and to all it answers nobody")
    func advertisement() throws {
        for (destination, isSolicited) in [(host, true), (IPv6Address.allNodes, false)] {
            let bytes = try packet {
                NeighbourMessage.writeAdvertisement(
                    of: router, hardware: hardware, to: destination, isOverride: !isSolicited,
                    into: &$0, at: 0)
            }
            let message = try read(bytes)
            #expect(message.kind == .advertisement)
            #expect(message.target == router)
            #expect(message.targetLink == hardware)
            #expect(message.isRouter)
            #expect(message.isSolicited == isSolicited)
            #expect(message.isOverride == !isSolicited)
        }
        let lie = try packet(
            {
                NeighbourMessage.writeAdvertisement(
                    of: router, hardware: hardware, to: .allNodes, isOverride: false, into: &$0,
                    at: 0)
            }, change: { $0[44] |= 0x40 })
        #expect(failure(lie) == .address)
    }

    @Test("NET-13: a router's advertisement says its MTU and prefixes", arguments: 0...3)
    func routerAdvertisement(prefixCount: Int) throws {
        let prefixes = (0..<prefixCount).map {
            NeighbourMessage.AdvertisedPrefix(
                prefix: IPv6Prefix(IPv6Address(high: UInt64($0), low: 0), length: 64),
                validSeconds: 86_400, preferredSeconds: 14_400)
        }
        let bytes = try packet {
            NeighbourMessage.writeRouterAdvertisement(
                from: router, hardware: hardware, lifetimeSeconds: 1800, mtu: 1400,
                prefixes: prefixes, into: &$0, at: 0)
        }
        let message = try read(bytes)
        #expect(message.kind == .routerAdvertisement)
        #expect(message.sourceLink == hardware)
        #expect(message.mtu == 1400)
        #expect(
            bytes.count == NeighbourMessage.routerAdvertisementByteCount
                + prefixCount * NeighbourMessage.prefixByteCount)
        let stranger = try packet(
            {
                NeighbourMessage.writeRouterAdvertisement(
                    from: host, hardware: hardware, lifetimeSeconds: 1800, mtu: 1400,
                    prefixes: [], into: &$0, at: 0)
            })
        #expect(failure(stranger) == .address)
    }

    @Test("NET-13: options are walked up to a limit", arguments: [31, 32, 33])
    func optionLimit(count: Int) throws {
        let bytes = try solicitation {
            $0.removeLast(8)
            for _ in 0..<count { $0 += [14, 1, 0, 0, 0, 0, 0, 0] }
            let length = 24 + count * 8
            $0.replaceSubrange(4..<6, with: [UInt8(length >> 8), UInt8(length & 255)])
        }
        #expect(failure(bytes) == (count > NeighbourMessage.optionLimit ? .optionLimit : nil))
    }
}
