import Logging
import RoostRouter
import Testing

@Suite("The library's article")
struct ArticleTests {
    /// The article's example, word for word.
    func route(logger: Logger) throws {
        var left = PortConfiguration(
            name: "left", kind: .tap(device: "tap0", networkNamespace: nil))
        left.addresses = ["10.0.1.1/24", "2001:db8:1::1/64"].compactMap { InterfaceAddress($0) }
        var right = PortConfiguration(
            name: "right", kind: .tap(device: "tap1", networkNamespace: nil))
        right.addresses = ["10.0.2.1/24"].compactMap { InterfaceAddress($0) }
        var namespace = NamespaceConfiguration(name: "main", ports: [left, right])
        if let everything = IPPrefix("0.0.0.0/0"), let gateway = IPAddress("10.0.2.254") {
            namespace.routes = [
                RouteConfiguration(
                    everything, .forward([NextHopConfiguration(gateway, port: "right")]))
            ]
        }
        let router = try Router.start(
            RouterConfiguration(namespaces: [namespace]), logger: logger)
        for row in try router.neighbours(in: "main", limit: 100).rows {
            print(row.address, row.state)
        }
        router.requestStop()
        try router.waitForEnd()
    }
}
