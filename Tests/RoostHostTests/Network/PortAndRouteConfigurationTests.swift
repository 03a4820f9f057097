import RoostHost
import RoostRouter
import Testing

/// What ports and routes a configuration file may ask for.
@Suite struct PortAndRouteConfigurationTests {
    /// Two ports that are all right.
    static let ports = """
        [[port]]
        name = "left"
        kind = "tap"
        device = "tap0"
        addresses = ["192.0.2.1/24", "2001:db8:1::1/64"]
        [[port]]
        name = "right"
        kind = "tap"
        device = "tap1"
        addresses = ["198.51.100.1/24", "2001:db8:2::1/64"]

        """

    private func refusal(of text: String) throws -> String {
        let error = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.parse(text, path: "net.toml")
        }
        #expect(error.kind == .configuration)
        return error.description
    }

    /// A line of a port beside its name, kind and device, and what refuses it.
    static let portRefusals: [(line: String, sentence: String)] = [
        ("color = \"red\"", "color: there is no such key here: use name, namespace, kind, "),
        ("namespace = \"red\"", "namespace: there is no namespace 'red': give one of default"),
        ("network-namespace = \"../x\"", "'../x' cannot name a network namespace"),
        ("network-namespace = \"..\"", "'..' cannot name a network namespace"),
        ("network-namespace = \"\"", "'' cannot name a network namespace"),
        ("mac = \"02:00:00:00:01\"", "'02:00:00:00:01' is no link address"),
        ("mac = \"03:00:00:00:00:01\"", "03:00:00:00:00:01 is no port's own address"),
        ("mac = \"00:00:00:00:00:00\"", "00:00:00:00:00:00 is no port's own address"),
        ("mtu = 67", "mtu: is 67: give a number from 68 to 9216"),
        ("mtu = 9217", "mtu: is 9217: give a number from 68 to 9216"),
        ("mtu = \"1500\"", "mtu: is of the type string: give a whole number"),
        ("mtu = 1279\naddresses = [\"2001:db8:3::1/64\"]", "IPv6 needs at least 1280"),
        (
            "addresses = \"203.0.113.1/24\"",
            "addresses: is of the type string: give a list of texts"
        ),
        ("addresses = [1]", "give a list of texts in quotes"),
        ("addresses = [\"203.0.113.1\"]", "'203.0.113.1' is no address with a length"),
        ("addresses = [\"203.0.113.1/33\"]", "'203.0.113.1/33' is no address with a length"),
        ("addresses = [\"203.0.113.256/24\"]", "'203.0.113.256/24' is no address with a length"),
        ("addresses = [\"203.0.113.0/24\"]", "203.0.113.0/24 is the name of its subnet"),
        ("addresses = [\"203.0.113.255/24\"]", "is its subnet's broadcast address"),
        (
            "addresses = [\"203.0.113.1/0\"]",
            "203.0.113.1/0 says that all addresses are on the link"
        ),
        ("addresses = [\"127.0.0.1/8\"]", "127.0.0.1/8 is a loopback address"),
        ("addresses = [\"0.0.0.1/8\"]", "0.0.0.1/8 is of 0.0.0.0/8"),
        ("addresses = [\"224.0.0.1/24\"]", "224.0.0.1/24 is a multicast address"),
        ("addresses = [\"240.0.0.1/24\"]", "which is reserved"),
        ("addresses = [\"ff02::1/64\"]", "ff02::1/64 is a multicast address"),
        ("addresses = [\"::1/128\"]", "is the loopback address"),
        ("addresses = [\"::/64\"]", "::/64 names nobody"),
        ("addresses = [\"::ffff:192.0.2.1/96\"]", "mapped into IPv6"),
        ("addresses = [\"192.0.2.129/25\"]", "192.0.2.129/25 overlaps with 192.0.2.1/24 of port "),
        ("addresses = [\"192.0.0.1/8\"]", "192.0.0.1/8 overlaps with 192.0.2.1/24 of port 'left'"),
        (
            "addresses = [\"2001:db8:1:0:1::1/80\"]",
            "2001:db8:1:0:1::1/80 overlaps with 2001:db8:1::1/64 of port 'left'"
        ),
        ("addresses = [\"192.0.2.1/24\"]", "192.0.2.1 is an address of port 'left' already"),
        (
            "addresses = [\"203.0.113.1/24\", \"203.0.113.1/32\"]",
            "203.0.113.1 is an address of port 'new' already"
        ),
        ("reverse-path = \"on\"", "reverse-path: is 'on': give one of off, loose, strict"),
        ("redirects = 1", "redirects: is of the type integer: give true or false"),
    ]

    @Test(arguments: portRefusals)
    func `a port that cannot be is refused, with its line and key`(
        _ line: String, _ sentence: String
    ) throws {
        let text =
            Self.ports + "[[port]]\nname = \"new\"\nkind = \"tap\"\ndevice = \"tap2\"\n" + line
        let refusal = try refusal(of: text)
        // The line with the last key of what was added.
        let number = 14 + line.split(separator: "\n").count
        let isNamed = line.hasPrefix("mtu = 1279") ? 15 : number
        #expect(refusal.hasPrefix("net.toml:\(isNamed): port 3, "), "\(refusal)")
        #expect(refusal.contains(sentence), "\(refusal)")
        #expect(!refusal.contains("\n"))
    }

    /// Whole ports that cannot be, and what refuses them.
    static let wholeRefusals: [(port: String, sentence: String)] = [
        ("", "net.toml:11: port 3, name: is missing"),
        ("name = \"left\"\nkind = \"tap\"\ndevice = \"x\"", "there are two ports 'left'"),
        ("name = \"a/b\"\nkind = \"tap\"\ndevice = \"x\"", "'a/b' cannot be a name"),
        ("name = \"x\"", "port 3, kind: is missing: give \"tap\""),
        ("name = \"x\"\nkind = \"veth\"", "there is no kind of port 'veth': give \"tap\""),
        ("name = \"x\"\nkind = \"tap\"", "device: is missing"),
        ("name = \"x\"\nkind = \"tap\"\ndevice = \"\"", "'' cannot name a device"),
        ("name = \"x\"\nkind = \"tap\"\ndevice = \"tap%d\"", "'tap%d' cannot name a device"),
        ("name = \"x\"\nkind = \"tap\"\ndevice = \"sixteen-letters-\"", "cannot name a device"),
        (
            "name = \"x\"\nkind = \"tap\"\ndevice = \"tap0\"",
            "net.toml:14: port 3, device: the device tap0 is port 'left' already"
        ),
    ]

    @Test(arguments: wholeRefusals)
    func `a port needs a name, a kind and a device of its own`(
        _ port: String, _ sentence: String
    ) throws {
        let refusal = try refusal(of: Self.ports + "[[port]]\n" + port)
        #expect(refusal.contains(sentence), "\(refusal)")
    }

    @Test func `one device's name may be in two network namespaces`() throws {
        let text =
            Self.ports + """
                [[port]]
                name = "new"
                kind = "tap"
                device = "tap0"
                network-namespace = "other"
                mtu = 68
                addresses = ["10.0.0.1/31", "10.0.0.2/32", "10.255.255.255/32"]
                """
        let configuration = try RouterConfigurationFile.parse(text, path: "net.toml")
            .configuration
        #expect(configuration.namespaces.first?.ports.last?.addresses.count == 3)
    }

    /// A route beside its prefix 203.0.113.0/24, and what refuses it.
    static let routeRefusals: [(route: String, sentence: String)] = [
        ("", "via: is missing: give the next router's address, a port, or an action"),
        ("colour = 1", "colour: there is no such key here"),
        ("namespace = \"red\"\nvia = \"192.0.2.2\"", "there is no namespace 'red'"),
        ("via = \"192.0.2.2/24\"", "'192.0.2.2/24' is no address"),
        ("via = \"192.0.2\"", "'192.0.2' is no address"),
        ("via = 3", "via: is of the type integer: give a text in quotes"),
        ("via = \"192.0.3.2\"", "192.0.3.2 is on no port's link: give an address of 192.0.2.0/24"),
        ("via = \"192.0.2.2\"\nport = \"right\"", "192.0.2.2 is on no link of port 'right'"),
        ("via = \"192.0.2.2\"\nport = \"up\"", "there is no port 'up' in the namespace"),
        ("via = \"192.0.2.1\"", "192.0.2.1 is this router's own"),
        ("via = \"198.51.100.1\"", "198.51.100.1 is this router's own"),
        ("via = \"192.0.2.0\"", "192.0.2.0 is no host of 192.0.2.0/24"),
        ("via = \"192.0.2.255\"", "192.0.2.255 is no host of 192.0.2.0/24"),
        ("via = \"2001:db8:1::2\"", "2001:db8:1::2 is not of the prefix's family"),
        ("via = \"fe80::2\"", "fe80::2 is link-local, so say on which port's link it is"),
        ("via = \"127.0.0.1\"\nport = \"left\"", "127.0.0.1 is a loopback address"),
        ("via = \"192.0.2.2\"\nweight = 0", "weight: is 0: give a number from 1 to 255"),
        ("via = \"192.0.2.2\"\nweight = 256", "weight: is 256: give a number from 1 to 255"),
        ("via = \"192.0.2.2\"\nmetric = 0", "metric: is 0: give a number from 1 to 4294967295"),
        ("via = \"192.0.2.2\"\nmetric = 4294967296", "metric: is 4294967296"),
        ("via = \"192.0.2.2\"\naction = \"blackhole\"", "sends packets nowhere: leave this out"),
        ("next-hops = []\naction = \"prohibit\"", "sends packets nowhere: leave this out"),
        ("action = \"drop\"", "is 'drop': give blackhole, unreachable or prohibit"),
        ("next-hops = []", "next-hops: there is none"),
        ("next-hops = [1]", "give a list of tables such as"),
        ("next-hops = {}", "next-hops: is of the type table: give a list of tables such as"),
        ("next-hops = [{}]", "route 1, next-hops 1, via: is missing"),
        ("next-hops = [{ vai = \"192.0.2.2\" }]", "next-hops 1, vai: there is no such key here"),
        ("next-hops = [{ via = \"192.0.2.2\" }]\nport = \"left\"", "there are next-hops too"),
        (
            "next-hops = [{ via = \"192.0.2.2\" }, { via = \"192.0.2.2\", weight = 2 }]",
            "via 192.0.2.2 port left is there twice"
        ),
    ]

    @Test(arguments: routeRefusals)
    func `a route that leads nowhere is refused, with its line and key`(
        _ route: String, _ sentence: String
    ) throws {
        let refusal = try refusal(
            of: Self.ports + "[[route]]\nprefix = \"203.0.113.0/24\"\n" + route)
        #expect(refusal.hasPrefix("net.toml:1"), "\(refusal)")
        #expect(refusal.contains(": route 1, "), "\(refusal)")
        #expect(refusal.contains(sentence), "\(refusal)")
    }

    static let prefixRefusals: [(prefix: String, sentence: String)] = [
        ("203.0.113.1/24", "'203.0.113.1/24' has bits past its length: give 203.0.113.0/24"),
        ("2001:db8::1/32", "'2001:db8::1/32' has bits past its length: give 2001:db8::/32"),
        ("203.0.113.0", "'203.0.113.0' is no prefix"),
        ("203.0.113.0/33", "'203.0.113.0/33' is no prefix"),
        ("203.0.113.0/-1", "'203.0.113.0/-1' is no prefix"),
        ("default", "'default' is no prefix"),
        ("127.0.0.0/8", "127.0.0.0/8 is loopback, which no router forwards"),
        ("239.0.0.0/8", "239.0.0.0/8 is multicast, which no router forwards"),
        ("fe80::/64", "fe80::/64 is link-local, which no router forwards"),
        ("ff05::/16", "ff05::/16 is multicast, which no router forwards"),
    ]

    @Test(arguments: prefixRefusals)
    func `a prefix that cannot be routed is refused`(_ prefix: String, _ sentence: String) throws {
        let refusal = try refusal(
            of: Self.ports + "[[route]]\nprefix = \"\(prefix)\"\naction = \"blackhole\"")
        #expect(refusal.hasPrefix("net.toml:12: route 1, prefix: "), "\(refusal)")
        #expect(refusal.contains(sentence), "\(refusal)")
    }

    @Test func `a prefix has each metric once`() throws {
        let route = "[[route]]\nprefix = \"203.0.113.0/24\"\nvia = \"192.0.2.2\"\n"
        let refusal = try refusal(of: Self.ports + route + "metric = 9\n" + route + "metric = 9\n")
        #expect(
            refusal.hasPrefix(
                "net.toml:16: route 2, prefix: 203.0.113.0/24 has the metric 9 in route 1 already"),
            "\(refusal)")
        let other = "[[route]]\nprefix = \"203.0.113.0/24\"\nvia = \"198.51.100.2\"\nmetric = 9\n"
        let configuration = try RouterConfigurationFile.parse(
            Self.ports + route + other, path: "net.toml"
        ).configuration
        #expect(configuration.namespaces.first?.routes.map(\.metric) == [100, 9])
    }

    @Test func `a next hop may be link-local, or the link itself`() throws {
        let text =
            Self.ports + """
                [[route]]
                prefix = "2001:db8:3::/64"
                via = "fe80::2"
                port = "right"
                [[route]]
                prefix = "203.0.113.0/24"
                port = "left"
                """
        let configuration = try RouterConfigurationFile.parse(text, path: "net.toml")
            .configuration
        let hops = [
            NextHopConfiguration(IPAddress("fe80::2"), port: "right"),
            NextHopConfiguration(nil, port: "left"),
        ]
        #expect(
            configuration.namespaces.first?.routes.map(\.action) == hops.map { .forward([$0]) })
    }
}
