internal import RoostRouter

/// A table `[[port]]`.
enum PortReading {
    static let keys = [
        "name", "namespace", "kind", "device", "network-namespace", "mac", "mtu", "addresses",
        "reverse-path", "redirects",
    ]

    static func port(_ table: ConfigurationTable) throws(HostError) -> PortConfiguration {
        var port = PortConfiguration(
            name: try table.requiredString("name", "a name, such as \"left\""),
            kind: try kind(table))
        if let text = try table.string("mac") {
            guard let mac = MACAddress(text) else {
                throw table.refusal(
                    "mac",
                    "'\(text)' is no link address: give six octets such as 02:00:00:00:00:01")
            }
            port.mac = mac
        }
        port.mtu = try table.integer("mtu") ?? port.mtu
        for text in try table.strings("addresses") {
            guard let address = InterfaceAddress(text) else {
                throw table.refusal(
                    "addresses",
                    "'\(text)' is no address with a length: give one such as 192.0.2.1/24 or "
                        + "2001:db8::1/64")
            }
            port.addresses.append(address)
        }
        if let text = try table.string("reverse-path") {
            guard let mode = ReversePathMode(rawValue: text) else {
                let modes = ReversePathMode.allCases.map(\.rawValue).joined(separator: ", ")
                throw table.refusal("reverse-path", "is '\(text)': give one of \(modes)")
            }
            port.reversePath = mode
        }
        port.sendsRedirects = try table.boolean("redirects") ?? port.sendsRedirects
        return port
    }

    private static func kind(
        _ table: ConfigurationTable
    ) throws(HostError) -> PortConfiguration.Kind {
        let kind = try table.requiredString("kind", "\"tap\"")
        guard kind == "tap" else {
            throw table.refusal("kind", "there is no kind of port '\(kind)': give \"tap\"")
        }
        return .tap(
            device: try table.requiredString("device", "the name of the TAP device"),
            networkNamespace: try table.string("network-namespace"))
    }
}
