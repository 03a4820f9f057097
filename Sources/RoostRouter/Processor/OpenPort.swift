/// A port that is open, and what it is for.
struct OpenPort: Sendable {
    let configuration: PortConfiguration
    let namespace: NamespaceIndex
    let port: any FramePort
    let kind: PortKind
    /// Where it is, for people.
    let place: String
    let mac: MACAddress

    /// Opens every port of a configuration.
    ///
    /// - Throws: `RouterError`; those that were opened before are closed.
    static func open(
        _ configuration: RouterConfiguration
    ) throws(RouterError) -> [OpenPort] {
        var random = SystemRandomNumberGenerator()
        var opened: [OpenPort] = []
        for (number, namespace) in configuration.namespaces.enumerated() {
            for port in namespace.ports {
                opened.append(
                    try open(
                        port, in: NamespaceIndex(rawValue: UInt16(number)),
                        workerCount: configuration.workerCount + 1, random: &random))
            }
        }
        return opened
    }

    private static func open(
        _ configuration: PortConfiguration, in namespace: NamespaceIndex, workerCount: Int,
        random: inout some RandomNumberGenerator
    ) throws(RouterError) -> OpenPort {
        switch configuration.kind {
        case .tap(let device, let networkNamespace):
            var options = TAPOptions(interface: device)
            options.networkNamespace = networkNamespace
            options.mtu = configuration.mtu
            // A persistent one may have been made beforehand, with the host's addresses.
            options.isExclusive = false
            options.workerCount = workerCount
            let port = try TAPInterface.open(options)
            let place = networkNamespace.map { "tap \(port.interface) in \($0)" }
            return OpenPort(
                configuration: configuration, namespace: namespace, port: port, kind: .tap,
                place: place ?? "tap \(port.interface)",
                mac: configuration.mac ?? .randomLocal(using: &random))
        }
    }
}
