import TestSupport
import Testing

@testable import RoostRouter

@Suite("Floods through a router")
struct ScanTests {
    @Test(
        "NET-12, NET-16: a namespace that scans takes nothing from another, which hits as before",
        arguments: 0..<2 as Range<UInt64>)
    func scan(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var configuration = RouterLayouts.twins()
        configuration.namespaces[0].limits.neighbours = 256
        configuration.namespaces[0].limits.exceptions = 1_024
        var rig = try RouterRig(configuration)
        let blue = TestFrames.udp(from: "10.0.1.2", to: "10.128.0.2", host: 2, port: 2)
        try rig.send(blue, fromHost: 2)
        _ = try rig.answerARP(of: "10.128.0.2", atHost: 3)
        let red = NamespaceIndex(rawValue: 0)
        var delivered = 0
        for number in 0..<50_000 {
            let target = IPv4Address(
                rawValue: 0x0A80_0000 | UInt32.random(in: 2..<1 << 23, using: &random))
            try rig.send(
                TestFrames.udp(from: "10.0.1.2", to: "\(target)", host: 0, port: 0), fromHost: 0)
            if number % 1_000 == 0 {
                rig.wait(50)
                try rig.send(blue, fromHost: 2)
                delivered += rig.frames(atHost: 3).count
                _ = rig.frames(atHost: 1)
            }
        }
        #expect(delivered == 50)
        // Each of them was a hit: only the first had asked for its neighbour.
        #expect(rig.count(.askedForNeighbour, ofPort: 2) == 1)
        #expect(rig.count(.forwarded, ofPort: 2) == 50)
        let neighbours = rig.processor.neighbours.usage(of: red)
        #expect(neighbours.entries <= 256)
        let quotas = rig.processor.exceptions.quotas
        #expect(quotas.used(.exceptions, by: red) <= 1_024)
        #expect(quotas.used(.probation, by: red) <= 128)
    }
}
