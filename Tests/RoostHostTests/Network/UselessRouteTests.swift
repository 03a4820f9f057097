import RoostHost
import RoostRouter
import Testing

/// Routes that would be accepted and change nothing.
@Suite struct UselessRouteTests {
    private static let ports = """
        [[namespace]]
        name = "main"
        [[namespace]]
        name = "empty"
        [[port]]
        name = "left"
        namespace = "main"
        kind = "tap"
        device = "tap0"
        addresses = ["192.0.2.1/24", "2001:db8:1::1/64", "203.0.113.7/32"]
        [[port]]
        name = "right"
        namespace = "main"
        kind = "tap"
        device = "tap1"
        addresses = ["198.51.100.1/30", "198.51.100.5/31"]
        [[port]]
        name = "bare"
        namespace = "main"
        kind = "tap"
        device = "tap2"

        """

    private static func route(
        _ prefix: String, _ rest: String, in namespace: String = "main"
    ) -> String {
        "[[route]]\nnamespace = \"\(namespace)\"\nprefix = \"\(prefix)\"\n\(rest)\n"
    }

    static let useless: [(routes: String, sentence: String)] = [
        (route("192.0.2.0/24", "via = \"198.51.100.2\""), "is the link of port 'left'"),
        (route("192.0.2.0/24", "port = \"left\""), "is the link of port 'left'"),
        (route("192.0.2.0/24", "action = \"blackhole\""), "is the link of port 'left'"),
        (route("198.51.100.4/31", "via = \"192.0.2.2\""), "is the link of port 'right'"),
        (route("2001:db8:1::/64", "via = \"2001:db8:1::2\""), "is the link of port 'left'"),
        (route("192.0.2.1/32", "via = \"192.0.2.2\""), "is this router's own address"),
        (route("203.0.113.7/32", "action = \"prohibit\""), "is this router's own address"),
        (route("2001:db8:1::1/128", "via = \"2001:db8:1::2\""), "is this router's own address"),
        (route("192.0.2.255/32", "via = \"192.0.2.2\""), "stands for all on the link 192.0.2.0/24"),
        (route("198.51.100.0/32", "via = \"192.0.2.2\""), "stands for all on the link"),
        (route("10.0.0.0/8", "port = \"bare\""), "'bare' has no IPv4 address"),
        (route("10.0.0.0/8", "action = \"blackhole\"", in: "empty"), "which has no port"),
        (
            route("10.0.0.0/8", "action = \"blackhole\"")
                + route("10.0.0.0/8", "via = \"192.0.2.2\"\nmetric = 200"),
            "is 200: route 1 to the same prefix has 100 and holds always"
        ),
        (
            route("10.0.0.0/8", "via = \"192.0.2.2\"\nmetric = 7")
                + route("10.0.0.0/8", "via = \"192.0.2.2\"\nweight = 3"),
            "is 100: route 1 to the same prefix has 7 and leads to the same next hops"
        ),
        (
            route("10.0.0.0/8", "via = \"192.0.2.2\"\nmetric = 9")
                + route("10.0.0.0/8", "via = \"198.51.100.2\"\nmetric = 8")
                + route(
                    "10.0.0.0/8",
                    "next-hops = [{ via = \"198.51.100.2\" }, { via = \"192.0.2.2\" }]"),
            "is 100: route 1 to the same prefix has 9"
        ),
    ]

    @Test(arguments: useless)
    func `a route that can never be used is refused, with its line and key`(
        _ routes: String, _ sentence: String
    ) throws {
        let error = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.parse(Self.ports + routes, path: "net.toml")
        }
        #expect(error.description.contains(sentence), "\(error)")
        #expect(error.description.hasPrefix("net.toml:"), "\(error)")
        #expect(error.description.contains(": route "), "\(error)")
    }

    static let useful: [String] = [
        route("192.0.2.0/23", "via = \"198.51.100.2\""),
        route("192.0.2.128/25", "via = \"192.0.2.2\""),
        route("192.0.2.9/32", "via = \"192.0.2.2\""),
        route("203.0.113.0/24", "via = \"192.0.2.2\""),
        route("198.51.100.6/32", "via = \"198.51.100.2\""),
        route("2001:db8::/32", "port = \"bare\""),
        route("2001:db8:1::9/128", "via = \"2001:db8:1::2\""),
        // One takes over when the port of the other goes down.
        route("10.0.0.0/8", "via = \"192.0.2.2\"\nmetric = 7")
            + route("10.0.0.0/8", "via = \"198.51.100.2\""),
        route("10.0.0.0/8", "via = \"192.0.2.2\"\nmetric = 7")
            + route("10.0.0.0/8", "action = \"unreachable\""),
        route("10.0.0.0/8", "via = \"192.0.2.2\"") + route("10.0.0.0/9", "via = \"192.0.2.2\""),
    ]

    @Test(arguments: useful)
    func `a route that may be used is accepted`(_ routes: String) throws {
        let file = try RouterConfigurationFile.parse(Self.ports + routes, path: "net.toml")
        #expect(file.configuration.namespaces.first?.routes.isEmpty == false)
    }
}
