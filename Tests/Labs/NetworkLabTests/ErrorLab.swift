import LabSupport
import RoostSystem
import Testing

/// Hosts are told why a packet cannot go on.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: NetworkNeeds.missing.isEmpty, "\(NetworkNeeds.missing)"))
struct ErrorLab {
    init() { BrokenPipes.ignore() }

    /// A target, and what the router at the hosts' side says of it.
    private static let refusals: [(target: String, answer: String)] = [
        ("198.51.100.1", "From 192.0.2.1 icmp_seq=1 Destination Net Unreachable"),
        ("2001:db8:ffff::1", "From 2001:db8:1::1 icmp_seq=1 Destination unreachable: No route"),
        ("203.0.113.1", "From 192.0.2.1 icmp_seq=1 Destination Host Unreachable"),
        ("203.0.113.129", "From 192.0.2.1 icmp_seq=1 Packet filtered"),
        (
            "2001:db8:dead::1",
            "From 2001:db8:1::1 icmp_seq=1 Destination unreachable: Administratively prohibited"
        ),
        // Nobody answers for these on the link to the right.
        ("192.0.2.140", "From 192.0.2.1 icmp_seq=1 Destination Host Unreachable"),
        (
            "2001:db8:2::99",
            "From 2001:db8:1::1 icmp_seq=1 Destination unreachable: Address unreachable"
        ),
    ]

    @Test(
        "NET-13: no route, a forbidden one and a host that is not there are answered",
        arguments: LabRouter.allCases)
    func unreachable(_ router: LabRouter) async throws {
        var plan = NetworkPlan.pair()
        plan.routes = [
            NetworkPlan.Route(prefix: "203.0.113.0/25", action: "unreachable"),
            NetworkPlan.Route(prefix: "203.0.113.128/25", action: "prohibit"),
            NetworkPlan.Route(prefix: "2001:db8:dead::/48", action: "prohibit"),
            NetworkPlan.Route(prefix: "203.0.112.0/24", action: "blackhole"),
        ]
        try await NetworkStage.run("unreachable", plan, router) { stage in
            let left = try stage.host("left")
            for (target, answer) in Self.refusals {
                let output = try await left.attempt("ping -n -c 1 -W 10 \(target)")
                #expect(output.contains(answer), "\(output)")
            }
            // Nothing is said of what goes into the blackhole.
            let silent = try await left.attempt("ping -n -c 1 -W 1 203.0.112.1")
            #expect(silent.contains("0 received, 100% packet loss"), "\(silent)")
            #expect(!silent.contains("From "), "\(silent)")
        }
    }

    @Test(
        "NET-13: a source that routes lead elsewhere to is dropped by a strict port only",
        arguments: LabRouter.allCases, ["strict", "loose"])
    func reversePath(_ router: LabRouter, _ mode: String) async throws {
        var plan = NetworkPlan.pair()
        plan.links[1].reversePath = mode
        plan.routes = [NetworkPlan.Route(prefix: "10.9.9.0/24", via: "192.0.2.2")]
        try await NetworkStage.run("reverse path \(mode)", plan, router) { stage in
            let (left, right) = (try stage.host("left"), try stage.host("right"))
            try await right.ip("address add 10.9.9.9/32 dev lo")
            let arriving = try await Capture(at: left, "icmp")
            let lied = try right.start(
                "ping -n -c 2 -i 0.2 -W 1 -I 10.9.9.9 192.0.2.2".split(separator: " ").map(
                    String.init))
            try await lied.exit()
            let honest = try await right.run("ping -n -c 2 -i 0.2 -W 5 192.0.2.2")
            #expect(honest.contains("2 received"), "\(honest)")
            let text = try await arriving.end(
                after: 2, of: "192.0.2.130 > 192.0.2.2: ICMP echo request")
            #expect(
                text.count(of: "10.9.9.9 > 192.0.2.2: ICMP echo request")
                    == (mode == "strict" ? 0 : 2), "\(text)")
        }
    }
}
