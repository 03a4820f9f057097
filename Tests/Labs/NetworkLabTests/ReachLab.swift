import LabSupport
import RoostSystem
import Testing

/// Two hosts reach each other through the router.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: NetworkNeeds.missing.isEmpty, "\(NetworkNeeds.missing)"))
struct ReachLab {
    init() { BrokenPipes.ignore() }

    @Test(
        "NET-13, NET-14: two network namespaces ping each other, and all checksums are right",
        arguments: LabRouter.allCases)
    func pings(_ router: LabRouter) async throws {
        try await NetworkStage.run("ping", .pair(), router) { stage in
            let (left, right) = (try stage.host("left"), try stage.host("right"))
            let arriving = try await Capture(at: right, "ip or ip6")
            let answers = try await Capture(at: left, "ip or ip6")
            let hosts = [
                (left, "192.0.2.130", "2001:db8:2::2"), (right, "192.0.2.2", "2001:db8:1::2"),
            ]
            for (host, ipv4, ipv6) in hosts {
                for target in ["-4 \(ipv4)", "-6 \(ipv6)"] {
                    let output = try await host.run("ping -n -c 3 -i 0.2 -W 5 \(target)")
                    #expect(output.contains("3 packets transmitted, 3 received, 0% packet loss"))
                    // One hop less than it was sent with.
                    #expect(output.count(of: "ttl=63") == 3, "\(output)")
                }
            }
            for capture in [arriving, answers] {
                let text = try await capture.end(after: 6, of: "ICMP6, echo re")
                #expect(text.count(of: "ICMP echo re") == 6, "\(text)")
                #expect(text.contains("[icmp6 sum ok]"))
                #expect(!text.hasBadChecksum, "\(text)")
            }
        }
    }

    @Test(
        "NET-13: the router answers its own addresses, on either side",
        arguments: LabRouter.allCases)
    func ownAddresses(_ router: LabRouter) async throws {
        try await NetworkStage.run("own addresses", .pair(), router) { stage in
            let left = try stage.host("left")
            for address in ["192.0.2.1", "192.0.2.129", "2001:db8:1::1", "2001:db8:2::1"] {
                let output = try await left.run("ping -n -c 2 -i 0.2 -W 5 \(address)")
                #expect(output.count(of: "from \(address): icmp_seq=") == 2, "\(output)")
            }
            // Its link-local address too, which a neighbour finds as the next hop of routes.
            let routes = try await left.attempt("ping -6 -n -c 2 -W 5 ff02::2%eth0")
            #expect(routes.contains("bytes from fe80::"), "\(routes)")
        }
    }

    @Test("NET-13: traceroute shows the router, then the host", arguments: LabRouter.allCases)
    func traceroute(_ router: LabRouter) async throws {
        try await NetworkStage.run("traceroute", .pair(), router) { stage in
            let left = try stage.host("left")
            func expectHops(_ method: String, _ expected: [String]) async throws {
                let output = try await left.run(
                    "traceroute \(method) -n -q 1 -N 1 -w 5 -m 5 \(expected[1])")
                let hops = output.split(separator: "\n").dropFirst().compactMap { line in
                    line.split(separator: " ").dropFirst().first.map(String.init)
                }
                #expect(hops == expected, "\(output)")
            }
            let ipv4 = ["192.0.2.1", "192.0.2.130"]
            let ipv6 = ["2001:db8:1::1", "2001:db8:2::2"]
            try await expectHops("-4", ipv4)
            try await expectHops("-6", ipv6)
            // The kernel leaves checksums of UDP to devices, so these are looked at of ICMP.
            let answers = try await Capture(at: left, "icmp or icmp6")
            try await expectHops("-4 -I", ipv4)
            try await expectHops("-6 -I", ipv6)
            let text = try await answers.end(after: 1, of: "2001:db8:2::2 > 2001:db8:1::2")
            #expect(
                text.contains("192.0.2.1 > 192.0.2.2: ICMP time exceeded in-transit"), "\(text)")
            #expect(text.contains("ICMP6, time exceeded in-transit"), "\(text)")
            #expect(!text.hasBadChecksum, "\(text)")
        }
    }

    @Test("NET-14: iperf3 carries TCP and UDP both ways", arguments: LabRouter.allCases)
    func throughput(_ router: LabRouter) async throws {
        try await NetworkStage.run("iperf3", .pair(), router) { stage in
            let (left, right) = (try stage.host("left"), try stage.host("right"))
            let server = try right.start(["iperf3", "--server", "--forceflush"])
            try await server.line { $0.hasPrefix("Server listening") }
            for target in ["-4 -c 192.0.2.130", "-6 -c 2001:db8:2::2"] {
                for way in ["", " --reverse", " --udp --bitrate 20M"] {
                    let output = try await left.run("iperf3 \(target)\(way) --bytes 8M")
                    #expect(output.contains("iperf Done."), "\(output)")
                    let lines = output.split(separator: "\n").filter { $0.hasSuffix("receiver") }
                    #expect(lines.count == 1, "\(output)")
                    print("  iperf3 \(router) \(target)\(way): \(lines.first ?? "")")
                }
            }
            try await server.stop()
        }
    }
}
