import RoostMemory
import Testing
import TestSupport

@testable import RoostRouter

@Suite("Batches through a router")
struct BatchTests {
    /// A packet of a kind, and whether it comes out.
    private static func packet(_ kind: Int) -> (frame: [UInt8], isForwarded: Bool) {
        func udp(_ destination: String) -> [UInt8] {
            TestFrames.udp(from: "10.0.1.2", to: destination, host: 0, port: 0)
        }
        return switch kind {
        case 0: (udp("10.0.2.2"), true)
        case 1: (udp("192.0.2.7"), true)
        case 2: (udp("198.51.100.1"), false)
        case 3: (udp("127.0.0.1"), false)
        // Too short to have a destination.
        default: (Array(udp("10.0.2.2")[..<33]), false)
        }
    }

    @Test(
        "NET-13: each packet of a batch goes its own way, whatever lies beside it",
        arguments: [1, 31, 32, 33, 64], 0..<4 as Range<UInt64>)
    func mixed(count: Int, seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var rig = try RouterRig(RouterLayouts.twoLinks())
        // The host's and the gateway's addresses become known.
        for (kind, address) in [(0, "10.0.2.2"), (1, "10.0.2.254")] {
            try rig.send(Self.packet(kind).frame, fromHost: 0)
            _ = try rig.answerARP(of: address, atHost: 1)
        }
        let packets = (0..<count).map { _ in Self.packet(.random(in: 0..<5, using: &random)) }
        try rig.send(packets.map(\.frame), fromHost: 0)
        let expected = packets.filter(\.isForwarded).map(\.frame)
        let arrived = rig.frames(atHost: 1)
        #expect(arrived.map { $0[30..<34] } == expected.map { $0[30..<34] })
        #expect(arrived.allSatisfy { $0[22] == 63 })
    }
}
