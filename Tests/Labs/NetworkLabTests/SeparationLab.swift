import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// Namespaces of the router do not see each other.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: NetworkNeeds.missing.isEmpty, "\(NetworkNeeds.missing)"))
struct SeparationLab {
    init() { BrokenPipes.ignore() }

    /// Two namespaces with the same addresses; `blue` has one route more.
    private static let plan: NetworkPlan = {
        var links: [NetworkPlan.Link] = []
        for namespace in ["red", "blue"] {
            for var link in NetworkPlan.pair().links {
                link = NetworkPlan.Link(
                    name: "\(namespace)-\(link.name)", router: link.router, host: link.host,
                    namespace: namespace)
                links.append(link)
            }
        }
        var plan = NetworkPlan(links: links)
        plan.routes = [
            NetworkPlan.Route(prefix: "198.51.100.0/24", via: "192.0.2.130", namespace: "blue")
        ]
        return plan
    }()

    @Test("NET-8: two namespaces with the same addresses do not see each other")
    func namespaces() async throws {
        try await NetworkStage.run("two namespaces", Self.plan) { stage in
            let sizes = [("red", 100), ("blue", 200)]
            var captures: [String: Capture] = [:]
            for (name, _) in sizes {
                captures[name] = try await Capture(at: stage.host("\(name)-right"), "icmp or icmp6")
            }
            for (name, size) in sizes {
                let host = try stage.host("\(name)-left")
                for target in ["192.0.2.130", "2001:db8:2::2"] {
                    let output = try await host.run(
                        "ping -n -c 3 -i 0.2 -W 5 -s \(size) \(target)")
                    #expect(output.contains("3 received"), "\(output)")
                }
            }
            for (name, size) in sizes {
                let text =
                    try await captures[name]?.end(after: 3, of: "ICMP6, echo request") ?? ""
                let other = size == 100 ? 200 : 100
                #expect(text.count(of: "echo request") == 6, "\(name): \(text)")
                #expect(text.contains("length \(size + 8)"), "\(name): \(text)")
                #expect(!text.contains("length \(other + 8)"), "\(name): \(text)")
            }

            // What only one has a route to, the other has not.
            let red = try await stage.host("red-left").attempt("ping -n -c 1 -W 5 198.51.100.1")
            #expect(red.contains("Destination Net Unreachable"), "\(red)")
            let routes = try await stage.json("routes --namespace red")["rows"]?.array ?? []
            #expect(!routes.isEmpty)
            #expect(routes.allSatisfy { $0["namespace"]?.string == "red" })
            #expect(!routes.contains { $0["prefix"]?.string == "198.51.100.0/24" })
        }
    }

    @Test("NET-8, NET-15: what happens in one namespace touches nothing of the other")
    func events() async throws {
        try await NetworkStage.run("events of one namespace", Self.plan) { stage in
            let (red, blue) = (try stage.host("red-left"), try stage.host("blue-left"))
            for host in [red, blue] {
                try await host.run("ping -n -c 2 -i 0.2 -W 5 192.0.2.130")
            }
            func neighbours(_ namespace: String) async throws -> Set<String> {
                let rows = try await stage.json("neighbours --namespace \(namespace)")["rows"]
                return Set(rows?.array?.compactMap { $0["address"]?.string } ?? [])
            }
            let before = try await neighbours("blue")
            #expect(before.contains("192.0.2.130"))

            try await stage.net("flush --namespace red")
            #expect(try await !neighbours("red").contains("192.0.2.130"))
            #expect(try await neighbours("blue").isSuperset(of: before))

            try await stage.host("red-right").ip("link delete eth0")
            try await stage.waitForEnd(ofPort: "red-right")
            let output = try await blue.run("ping -n -c 3 -i 0.2 -W 5 192.0.2.130")
            #expect(output.contains("3 received"), "\(output)")
            #expect(try await neighbours("blue").isSuperset(of: before))
        }
    }
}
