import Foundation
import LabSupport
import RoostSystem
import Testing

/// Hosts learn how long a packet may be, and longer ones arrive in pieces.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: NetworkNeeds.missing.isEmpty, "\(NetworkNeeds.missing)"))
struct PathMTULab {
    init() { BrokenPipes.ignore() }

    @Test(
        "NET-13: a packet that may not be fragmented is refused with the MTU of the way on",
        arguments: LabRouter.allCases, [1400, 1280])
    func refused(_ router: LabRouter, _ mtu: Int) async throws {
        try await NetworkStage.run("path MTU \(mtu)", .pair(rightMTU: mtu), router) { stage in
            let left = try stage.host("left")
            let ipv4 = try await left.attempt("ping -n -M do -s 1472 -c 1 -W 5 192.0.2.130")
            #expect(
                ipv4.contains("From 192.0.2.1 icmp_seq=1 Frag needed and DF set (mtu = \(mtu))"),
                "\(ipv4)")
            let ipv6 = try await left.attempt("ping -6 -n -M do -s 1452 -c 1 -W 5 2001:db8:2::2")
            #expect(
                ipv6.contains("From 2001:db8:1::1 icmp_seq=1 Packet too big: mtu=\(mtu)"),
                "\(ipv6)")

            // The host has learned it, and its next packets are shorter.
            for target in ["192.0.2.130", "2001:db8:2::2"] {
                let route = try await left.ip("route get \(target)")
                #expect(route.contains("mtu \(mtu)"), "\(route)")
            }
            let fitting = [
                "-4 -s \(mtu - 28) 192.0.2.130", "-6 -s \(mtu - 48) 2001:db8:2::2",
            ]
            for target in fitting {
                let output = try await left.run("ping -n -M do -c 2 -i 0.2 -W 5 \(target)")
                #expect(output.contains("2 received"), "\(output)")
            }
        }
    }

    @Test("NET-13: tracepath finds the path MTU", arguments: LabRouter.allCases)
    func tracepath(_ router: LabRouter) async throws {
        try await NetworkStage.run("tracepath", .pair(rightMTU: 1400), router) { stage in
            let left = try stage.host("left")
            for target in ["-4 -n -m 4 192.0.2.130", "-6 -n -m 4 2001:db8:2::2"] {
                let output = try await left.run("tracepath \(target)")
                #expect(output.contains("Resume: pmtu 1400 hops 2 back 2"), "\(output)")
            }
        }
    }

    @Test(
        "NET-13: without DF the router fragments, and the pieces arrive whole",
        arguments: LabRouter.allCases)
    func fragments(_ router: LabRouter) async throws {
        try await NetworkStage.run("fragments", .pair(rightMTU: 1400), router) { stage in
            let (left, right) = (try stage.host("left"), try stage.host("right"))
            let arriving = try await Capture(at: right, "icmp")
            let one = try await left.run("ping -n -M dont -s 1472 -c 2 -i 0.2 -W 5 192.0.2.130")
            #expect(one.contains("2 received"), "\(one)")
            // The host makes three pieces of it, of which the router fragments the two long ones.
            let long = try await left.run("ping -n -M dont -s 4000 -c 2 -i 0.2 -W 5 192.0.2.130")
            #expect(long.contains("2 received"), "\(long)")
            let text = try await arriving.end(after: 2, of: "offset 2960, flags [none]")
            #expect(!text.hasBadChecksum, "\(text)")
            #expect(text.contains("offset 1376, flags [none]"), "\(text)")
            let lengths = text.components(separatedBy: ", length ").dropFirst().compactMap {
                Int($0.prefix { $0.isNumber })
            }
            #expect(lengths.allSatisfy { $0 <= 1400 }, "\(text)")
        }
    }
}
