import Glibc
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// What `roost net` shows and does while packets go through.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: NetworkNeeds.missing.isEmpty, "\(NetworkNeeds.missing)"))
struct ControlLab {
    init() { BrokenPipes.ignore() }

    private func pingsRight(_ stage: NetworkStage) async throws {
        let output = try await stage.host("left").run("ping -n -c 3 -i 0.2 -W 5 192.0.2.130")
        #expect(output.contains("3 received"), "\(output)")
    }

    @Test("NET-1, NET-17: routes, destinations, neighbours, ports and statistics are shown")
    func tables() async throws {
        try await NetworkStage.run("tables", .pair()) { stage in
            try await pingsRight(stage)

            let routes = try await stage.json("routes")["rows"]?.array ?? []
            let connected = routes.filter { $0["origin"]?.string == "connected" }
                .compactMap { $0["prefix"]?.string }
            for prefix in ["192.0.2.0/25", "192.0.2.128/25", "2001:db8:1::/64", "2001:db8:2::/64"] {
                #expect(connected.contains(prefix), "\(connected)")
            }
            let neighbours = try await stage.json("neighbours")["rows"]?.array ?? []
            let right = neighbours.first { $0["address"]?.string == "192.0.2.130" }
            let link = try await stage.host("right").ip("-brief link show eth0")
            let mac = try #require(right?["mac"]?.string)
            #expect(link.contains(mac), "\(link)")
            #expect(right?["port"]?.string == "right")

            let destinations = try await stage.json("destinations")
            let rows = destinations["rows"]?.array ?? []
            #expect(rows.contains { $0["port"]?.string == "right" })
            #expect(destinations["total"]?.unsignedInteger == UInt64(rows.count))
            let one = try await stage.json("destinations --limit 1")["rows"]?.array
            #expect(one?.count == 1)

            let port = try await stage.port("right")
            #expect(port["state"]?.string == "up")
            #expect((port["sentFrames"]?.unsignedInteger ?? 0) >= 3)
            #expect((port["receivedFrames"]?.unsignedInteger ?? 0) >= 3)

            let namespace = try await stage.json("show")["namespaces"]?.array?.first
            let statistics = namespace?["statistics"]
            // The first packets each way may wait for their next hops; the last ones do not.
            #expect((statistics?["inHit"]?.unsignedInteger ?? 0) >= 2)
            #expect((statistics?["entries"]?.unsignedInteger ?? 0) >= 4)
            #expect(statistics?["inNoRoute"]?.unsignedInteger == 0)

            // For people the same in tables.
            for command in ["show", "routes", "destinations", "neighbours", "ports"] {
                let table = try await stage.net(command)
                #expect(table.split(separator: "\n").count > 1, "\(command): \(table)")
            }
        }
    }

    @Test("every document of a router is as its schema says, and what was done to a port is told")
    func documents() async throws {
        try await NetworkStage.run("documents", .pair()) { stage in
            let trace = try stage.start(["net", "trace", "--count", "4", "--json"])
            try await trace.line { $0.contains("tracing packets") }
            try await pingsRight(stage)
            try await trace.succeed()
            var documents: [(name: String, text: String)] = trace.output.split(separator: "\n")
                .map { (name: "trace", text: String($0)) }
            for command in [
                "show", "ports", "routes", "destinations", "neighbours", "flush --all",
                "ports --down left --down right", "ports --down left", "ports --up left --up right",
            ] {
                let text = try await stage.net("\(command) --json")
                documents.append((name: command, text: text))
            }
            #expect(try await DocumentSchemas.faults(in: documents) == [])

            let down = try await stage.net("ports --down left")
            #expect(down.hasPrefix("port left: down, "), "\(down)")
            let again = try await stage.net("ports --down left")
            #expect(again.hasPrefix("port left: was down already"), "\(again)")
            let refused = try stage.start(["net", "ports", "--up", "left", "--down", "middle"])
            #expect(try await refused.exit() == 1)
            #expect(refused.text.contains("'middle'"), "\(refused.text)")
            #expect(try await stage.port("left")["state"]?.string == "down")

            // Nothing is without an address, or what it is for.
            let table = try await stage.net("destinations")
            #expect(!table.split(separator: "\n").contains { $0.hasPrefix("*") }, "\(table)")
        }
    }

    @Test("NET-6: a trace shows packets as they go, and ends after so many")
    func trace() async throws {
        try await NetworkStage.run("trace", .pair()) { stage in
            let trace = try stage.start(
                ["net", "trace", "packets", "--count", "4", "--json"])
            try await trace.line { $0.contains("tracing packets") }
            try await pingsRight(stage)
            try await trace.succeed()
            let lines = trace.output.split(separator: "\n")
            #expect(lines.count == 4, "\(trace.output)")
            let records = try lines.map { try JSONValue(json: $0.utf8)["packet"] }
            let echoes = records.filter { $0?["destination"]?.string == "192.0.2.130" }
            #expect(!echoes.isEmpty, "\(trace.output)")
            #expect(echoes.allSatisfy { $0?["port"]?.string == "left" })

            // Until it is told to end.
            let other = try stage.start(["net", "trace"])
            try await other.line { $0.contains("tracing packets") }
            try await pingsRight(stage)
            try await other.line { $0.contains("192.0.2.2 > 192.0.2.130 icmp echo request") }
            other.signal(SIGINT)
            try await other.succeed()
        }
    }

    @Test("NET-15: a flush forgets what was selected, and traffic goes on")
    func flush() async throws {
        try await NetworkStage.run("flush", .pair()) { stage in
            try await pingsRight(stage)
            let one = try await stage.json("flush --prefix 192.0.2.130/32")
            #expect(one["neighbours"]?.unsignedInteger == 1)
            let left = try await stage.json("neighbours")["rows"]?.array ?? []
            #expect(!left.contains { $0["address"]?.string == "192.0.2.130" })
            #expect(left.contains { $0["address"]?.string == "192.0.2.2" })
            try await pingsRight(stage)
            let none = try await stage.json("flush --next-hop 198.51.100.77")
            #expect(none["neighbours"]?.unsignedInteger == 0)
            let all = try await stage.json("flush --all")
            #expect((all["neighbours"]?.unsignedInteger ?? 0) >= 2)
            try await pingsRight(stage)

            let refused = try stage.start(["net", "flush", "--namespace", "nowhere"])
            #expect(try await refused.exit() != 0)
            #expect(refused.text.contains("nowhere"), "\(refused.text)")
        }
    }

    @Test("NET-7: a port that goes down and comes back, or goes for good, is let go at once")
    func ports() async throws {
        try await NetworkStage.run("port events", .pair()) { stage in
            let (left, right) = (try stage.host("left"), try stage.host("right"))
            let traffic = try left.start(
                "ping -n -O -i 0.05 192.0.2.130".split(separator: " ").map(String.init))
            try await traffic.line { $0.contains("bytes from 192.0.2.130") }

            try await right.ip("link set eth0 down")
            try await stage.waitForPort("right", "down")
            let silence = traffic.lines.count
            try await traffic.line(from: silence) { $0.contains("no answer yet") }

            try await right.ip("link set eth0 up")
            // The system took the host's routes with the link.
            try await right.ip("route add default via 192.0.2.129")
            try await stage.waitForPort("right", "up")
            let back = traffic.lines.count
            try await traffic.line(from: back) { $0.contains("bytes from 192.0.2.130") }

            // By hand the same.
            try await stage.net("ports --down right")
            try await stage.waitForPort("right", "down")
            try await stage.net("ports --up right")
            let again = traffic.lines.count
            try await traffic.line(from: again) { $0.contains("bytes from 192.0.2.130") }

            try await right.ip("link delete eth0")
            try await stage.waitForEnd(ofPort: "right")
            let gone = traffic.lines.count
            try await traffic.line(from: gone) { $0.contains("no answer yet") }
            traffic.signal(SIGINT)
            try await traffic.exit()
            // The other port does not notice.
            let output = try await left.run("ping -n -c 2 -i 0.2 -W 5 192.0.2.1")
            #expect(output.contains("2 received"), "\(output)")
        }
    }
}
