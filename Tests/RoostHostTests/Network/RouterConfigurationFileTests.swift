import Foundation
import RoostHost
import RoostRouter
import SystemPackage
import Testing

/// What configuration files of routers come to.
@Suite struct RouterConfigurationFileTests {
    /// A port that is all right.
    static let left = """
        [[port]]
        name = "left"
        kind = "tap"
        device = "tap0"
        addresses = ["192.0.2.1/24", "2001:db8:1::1/64"]

        """

    private func read(_ text: String) throws -> RouterConfiguration {
        try RouterConfigurationFile.parse(text, path: "net.toml").configuration
    }

    @Test func `the example that comes with Roost is read as it stands`() throws {
        let example = URL(fileURLWithPath: #filePath).appendingPathComponent(
            "../../../../Extras/net/example.toml"
        ).standardizedFileURL.path
        let configuration = try RouterConfigurationFile.read(example).configuration

        let namespace = try #require(configuration.namespaces.first)
        #expect(configuration.namespaces.count == 1)
        #expect(namespace.name == "default")
        #expect(namespace.limits == NamespaceLimits())
        #expect(configuration.collector == CollectorConfiguration())
        #expect(configuration.workerCount == 1)

        var left = PortConfiguration(
            name: "left", kind: .tap(device: "tap-left", networkNamespace: "left"))
        left.mac = MACAddress(rawValue: 0x0200_0000_0101)
        left.addresses = ["192.0.2.1/25", "2001:db8:1::1/64"].compactMap(InterfaceAddress.init)
        left.reversePath = .strict
        #expect(namespace.ports.first == left)
        #expect(namespace.ports.map(\.name) == ["left", "right"])

        let prefixes = namespace.routes.map(\.prefix.description)
        #expect(prefixes == ["0.0.0.0/0", "198.51.100.0/24", "::/0", "203.0.113.0/24"])
        var weighted = NextHopConfiguration(IPAddress("192.0.2.2"), port: "left")
        weighted.weight = 2
        let other = NextHopConfiguration(IPAddress("192.0.2.130"), port: "right")
        #expect(namespace.routes[1].action == .forward([weighted, other]))
        #expect(namespace.routes[3].action == .unreachable)
    }

    @Test(arguments: ["", "# nothing\n", "workers = 2\n", "[[namespace]]\nname = \"red\"\n"])
    func `a router without ports is refused`(_ text: String) throws {
        try expectRefused(text, "net.toml: there is no port")
    }

    @Test func `the least file is a port`() throws {
        let configuration = try read(Self.left)
        #expect(configuration.namespaces.map(\.name) == ["default"])
        #expect(configuration.namespaces.first?.ports.map(\.name) == ["left"])
    }

    @Test func `a port has the usual values where the file says nothing`() throws {
        let port = try #require(read(Self.left).namespaces.first?.ports.first)
        #expect(port.mac == nil)
        #expect(port.mtu == 1500)
        #expect(port.reversePath == .off)
        #expect(port.sendsRedirects)
        #expect(port.kind == .tap(device: "tap0", networkNamespace: nil))
    }

    @Test(
        "NET-8: two namespaces may have the same addresses and routes, each of its own")
    func namespaces() throws {
        let text = ["red", "blue"].map { name in
            """
            [[namespace]]
            name = "\(name)"
            limits = { destinations = 32 }
            [[port]]
            name = "\(name)-0"
            namespace = "\(name)"
            kind = "tap"
            device = "\(name)0"
            addresses = ["10.0.0.1/8", "fe80::1/64"]
            [[route]]
            namespace = "\(name)"
            prefix = "0.0.0.0/0"
            via = "10.0.0.2"

            """
        }.joined()
        let configuration = try read(text)
        #expect(configuration.namespaces.map(\.name) == ["red", "blue"])
        #expect(configuration.namespaces.allSatisfy { $0.limits.destinations == 32 })
        for namespace in configuration.namespaces {
            #expect(namespace.ports.map(\.name) == ["\(namespace.name)-0"])
            let nextHop = NextHopConfiguration(
                IPAddress("10.0.0.2"), port: "\(namespace.name)-0")
            #expect(
                namespace.routes == [
                    RouteConfiguration(.ipv4(.all), .forward([nextHop]))
                ])
        }
    }

    /// What a file says after the port above, and the sentence that refuses it.
    static let refusals: [(text: String, sentence: String)] = [
        ("wrokers = 1", "net.toml:6: wrokers: there is no such key here: use workers, "),
        ("workers = 0", "net.toml:6: workers: is 0: give a number from 1 to 16"),
        ("workers = \"two\"", "workers: is of the type string: give a whole number"),
        ("workers = 1.5", "workers: is of the type floating-point number: give a whole number"),
        ("port = 3", "this is not TOML: "),
        ("collector = 3", "collector: is of the type integer: give a table"),
        ("[collector]\nslice-entries = 0", "net.toml:7: collector, slice-entries: is 0: "),
        ("[collector]\nslice-microseconds = 100001", "net.toml:7: collector, slice-microseconds: "),
        ("[collector]\npace = 1", "net.toml:7: collector, pace: there is no such key here"),
        ("[[namespace]]", "net.toml:6: namespace 1, name: is missing"),
        ("[[namespace]]\nname = \"\"", "net.toml:7: namespace 1, name: '' cannot be a name: use "),
        ("[[namespace]]\nname = \"a b\"", "'a b' cannot be a name"),
        ("[[namespace]]\nname = \"-a\"", "'-a' cannot be a name"),
        ("[[namespace]]\nname = \"\(String(repeating: "n", count: 33))\"", "at most 32"),
        (
            "[[namespace]]\nname = \"a\"\n[[namespace]]\nname = \"b\"",
            "net.toml:1: port 1, namespace: is missing: give one of a, b"
        ),
        (
            "[[namespace]]\nname = \"a\"\n[namespace.limits]\nneighbours = 15",
            "net.toml:9: namespace 1, limits, neighbours: is 15: give a number from 16 to 16777216"
        ),
        (
            "[[namespace]]\nname = \"a\"\n[namespace.limits]\nicmp-error-burst = 1000001",
            "net.toml:9: namespace 1, limits, icmp-error-burst: is 1000001: "
        ),
        (
            "[[namespace]]\nname = \"a\"\n[namespace.limits]\nroutes = 16",
            "net.toml:9: namespace 1, limits, routes: there is no such key here"
        ),
        (
            "[[namespace]]\nname = \"default\"\nlimits.neighbours = 4194305",
            "net.toml:8: namespace 1, limits, neighbours: is 4194305: all namespaces together may "
                + "have 4194304; give a smaller one"
        ),
        (
            "[[namespace]]\nname = \"default\"\nlimits = { pending-frames = 262145 }",
            "net.toml:8: namespace 1, limits, pending-frames: is 262145: all namespaces together "
        ),
    ]

    @Test(arguments: refusals)
    func `what cannot be is refused with its place`(_ text: String, _ sentence: String) throws {
        // What stands before the first table belongs to the file.
        let isTop = !text.hasPrefix("[")
        let file = isTop ? "\n\n\n\n\n\(text)\n\(Self.left)" : Self.left + text
        try expectRefused(file, sentence)
    }

    @Test func `a name is one namespace's`() throws {
        let namespace = "[[namespace]]\nname = \"a\"\n"
        try expectRefused(
            namespace + namespace,
            "net.toml:4: namespace 2, name: there are two namespaces 'a': rename one")
    }

    private func expectRefused(_ file: String, _ sentence: String) throws {
        let error = try #require(throws: HostError.self) { _ = try read(file) }
        #expect(error.kind == .configuration)
        #expect(error.path == "net.toml")
        #expect(error.description.hasPrefix("net.toml"), "\(error)")
        #expect(error.description.contains(sentence), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    @Test func `a file that is not there, or no text, is refused`() throws {
        let folder = FileManager.default.temporaryDirectory.path
        let path = "\(folder)/roost-configuration-\(UInt64.random(in: 0 ... .max)).toml"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let absent = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.read(path)
        }
        #expect(absent.errno == .noSuchFileOrDirectory)
        #expect(absent.description.hasPrefix("cannot read \(path): No such file or directory"))
        let texts: [([UInt8], String)] = [
            ([0xFF], "is no text in UTF-8"), ([0x61, 0], "a byte 0 is in it"),
        ]
        for (bytes, sentence) in texts {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let error = try #require(throws: HostError.self) {
                _ = try RouterConfigurationFile.read(path)
            }
            #expect(error.description.contains(sentence), "\(error)")
        }
        // A file with a hole, as long as it need be.
        try FileHandle(forWritingTo: URL(fileURLWithPath: path)).truncate(
            atOffset: UInt64(RouterConfigurationFile.byteLimit) + 1)
        let long = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.read(path)
        }
        #expect(long.description.hasPrefix("\(path) has more than 64 MiB"), "\(long)")
        let folderError = try #require(throws: HostError.self) {
            _ = try RouterConfigurationFile.read(folder)
        }
        #expect(folderError.errno == .isDirectory)
    }
}
