import RoostRouter
import Testing

/// What a router can be asked to be, without any file.
@Suite struct ConfigurationTests {
    /// A router that can be.
    private static func valid() -> RouterConfiguration {
        var port = PortConfiguration(
            name: "left", kind: .tap(device: "tap0", networkNamespace: nil))
        port.addresses = ["192.0.2.1/24"].compactMap(InterfaceAddress.init)
        let route = RouteConfiguration(
            .ipv4(.all), .forward([NextHopConfiguration(IPAddress("192.0.2.2"), port: "left")]))
        return RouterConfiguration(namespaces: [
            NamespaceConfiguration(name: "red", ports: [port], routes: [route])
        ])
    }

    @Test func `what can be is accepted`() throws {
        try Self.valid().validate()
    }

    /// A change that makes a router impossible, and the beginning of what refuses it.
    static let changes: [(change: @Sendable (inout RouterConfiguration) -> Void, refusal: String)] =
        [
            ({ $0.namespaces = [] }, "the router: there is no namespace"),
            ({ $0.workerCount = 17 }, "the router, workers: is 17: give a number from 1 to 16"),
            ({ $0.collector.sliceEntryCount = 0 }, "the router, slice-entries: is 0"),
            ({ $0.collector.sliceTime = .zero }, "the router, slice-microseconds: is 0.0 seconds"),
            ({ $0.collector.sliceTime = .seconds(1) }, "the router, slice-microseconds: is 1.0"),
            ({ $0.namespaces[0].name = "" }, "namespace '', name: '' cannot be a name"),
            ({ $0.namespaces.append($0.namespaces[0]) }, "namespace 'red', name: there are two"),
            (
                { $0.namespaces[0].ports.append($0.namespaces[0].ports[0]) },
                "port 'left', name: there are two ports 'left'"
            ),
            (
                { $0.namespaces[0].limits.exceptions = 0 },
                "namespace 'red', limits, exceptions: is 0"
            ),
            ({ $0.namespaces[0].ports[0].mtu = 67 }, "port 'left', mtu: is 67"),
            (
                { $0.namespaces[0].routes[0].metric = 0 },
                "route 1 of namespace 'red', metric: is 0"
            ),
            (
                { $0.namespaces[0].routes[0].action = .forward([]) },
                "route 1 of namespace 'red', next-hops: there is none"
            ),
            ({ $0.namespaces[0].ports = [] }, "the router: there is no port"),
            (
                { $0.namespaces[0].limits.neighbours = 4_194_305 },
                "namespace 'red', limits, neighbours: is 4194305: all namespaces together may have"
            ),
            (
                {
                    $0.namespaces[0].limits.destinations = 16_777_216
                    $0.namespaces.append(NamespaceConfiguration(name: "blue"))
                },
                "namespace 'blue', limits, destinations: is 65536: all namespaces together may have "
                    + "16777216, of which the namespaces before have 16777216"
            ),
            (
                {
                    let mac = MACAddress(rawValue: 0x0200_0000_0001)
                    var port = PortConfiguration(
                        name: "right", kind: .tap(device: "tap1", networkNamespace: nil))
                    port.mac = mac
                    $0.namespaces[0].ports[0].mac = mac
                    $0.namespaces[0].ports.append(port)
                },
                "port 'right', mac: 02:00:00:00:00:01 is that of port 'left' already"
            ),
            (
                { $0.namespaces[0].ports[0].addresses = [] },
                "route 1 of namespace 'red', via: 192.0.2.2 is on no link of port 'left'"
            ),
        ]

    @Test(arguments: changes.indices)
    func `what cannot be is refused, with its place`(_ index: Int) throws {
        var configuration = Self.valid()
        Self.changes[index].change(&configuration)
        let error = try #require(throws: RouterError.self) { try configuration.validate() }
        #expect(error.kind == .invalidValue)
        #expect(error.description.hasPrefix(Self.changes[index].refusal), "\(error)")
    }

    @Test(arguments: [
        ("192.0.2.1/24", "192.0.2.0/24", "192.0.2.255"), ("192.0.2.1/31", "192.0.2.0/31", nil),
        ("10.1.2.3/0", "0.0.0.0/0", "255.255.255.255"), ("10.1.2.3/32", "10.1.2.3/32", nil),
        ("2001:db8::1/64", "2001:db8::/64", nil), ("fe80::1/128", "fe80::1/128", nil),
    ])
    func `an address names its subnet and broadcast`(
        _ text: String, _ subnet: String, _ broadcast: String?
    ) throws {
        let address = try #require(InterfaceAddress(text))
        #expect(address.description == text)
        #expect(address.subnet.description == subnet)
        #expect(address.broadcast?.description == broadcast)
    }

    @Test(arguments: ["", "/", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "::/129", "x/8"])
    func `what is no address with a length is none`(_ text: String) {
        #expect(InterfaceAddress(text) == nil)
        #expect(IPPrefix(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.0/16", true), ("10.0.0.0/8", "11.0.0.0/8", false),
        ("0.0.0.0/0", "::/0", false), ("::/0", "2001:db8::/32", true),
        ("192.0.2.0/25", "192.0.2.128/25", false),
    ])
    func `prefixes overlap whichever is the longer`(
        _ left: String, _ right: String, _ overlaps: Bool
    ) throws {
        let (left, right) = (try #require(IPPrefix(left)), try #require(IPPrefix(right)))
        #expect(left.overlaps(right) == overlaps)
        #expect(right.overlaps(left) == overlaps)
    }
}
