@testable import RoostRouter

/// Configurations of the router's tests.
enum RouterLayouts {
    /// A port in memory.
    static func port(
        _ name: String, _ addresses: [String], mtu: Int = 1_500,
        reversePath: ReversePathMode = .off
    ) -> PortConfiguration {
        var port = PortConfiguration(name: name, kind: .tap(device: name, networkNamespace: nil))
        port.addresses = addresses.compactMap { InterfaceAddress($0) }
        port.mtu = mtu
        port.reversePath = reversePath
        return port
    }

    /// Two links and a route to the rest of the world by a gateway on the second.
    static func twoLinks(
        mtu: Int = 1_500, reversePath: ReversePathMode = .off
    ) -> RouterConfiguration {
        var namespace = NamespaceConfiguration(name: "main")
        // A smaller link is one of IPv4 only.
        let right = mtu < 1_280 ? ["10.0.2.1/24"] : ["10.0.2.1/24", "2001:db8:2::1/64"]
        namespace.ports = [
            port("left", ["10.0.1.1/24", "2001:db8:1::1/64"], reversePath: reversePath),
            port("right", right, mtu: mtu),
        ]
        if let prefix = IPPrefix("192.0.2.0/24"), let gateway = IPAddress("10.0.2.254") {
            namespace.routes = [
                RouteConfiguration(prefix, .forward([NextHopConfiguration(gateway, port: "right")]))
            ]
        }
        return RouterConfiguration(namespaces: [namespace])
    }

    /// Two namespaces with the same addresses, two links each.
    static func twins() -> RouterConfiguration {
        RouterConfiguration(
            namespaces: ["red", "blue"].map { name in
                NamespaceConfiguration(
                    name: name,
                    ports: [
                        port("\(name)-left", ["10.0.1.1/24"]),
                        port("\(name)-right", ["10.128.0.1/9"]),
                    ])
            })
    }
}

extension RouterRig {
    /// Answers the router's ARP questions about one address behind a port.
    ///
    /// - Returns: The other frames that came.
    mutating func answerARP(of address: String, atHost number: Int) throws -> [[UInt8]] {
        var others: [[UInt8]] = []
        for frame in frames(atHost: number) {
            guard let question = try ParsedFrame(frame).arp,
                question.targetAddress == IPv4Address(address)
            else {
                others.append(frame)
                continue
            }
            try send(
                TestFrames.arpReply(of: address, host: number, to: question), fromHost: number)
        }
        return others + frames(atHost: number)
    }
}
