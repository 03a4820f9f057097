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
    /// - Parameters:
    ///   - configuration: Whose ports.
    ///   - isCancelled: Whether the caller no longer wants them; asked before each.
    /// - Returns: The ports, in the order of the configuration.
    /// - Throws: `RouterError`; those that were opened before are closed.
    static func open(
        _ configuration: RouterConfiguration, unless isCancelled: @Sendable () -> Bool = { false }
    ) throws(RouterError) -> [OpenPort] {
        var random = SystemRandomNumberGenerator()
        return try each(of: configuration) { (port, namespace) throws(RouterError) in
            guard !isCancelled() else { throw RouterError.cancelled }
            do throws(RouterError) {
                return try open(
                    port, in: namespace, workerCount: configuration.workerCount + 1,
                    random: &random)
            } catch {
                // The device's name was checked; what is not found or nothing of the kind is where
                // it should be.
                let isPlace = error.kind == .notFound || error.kind == .invalidValue
                throw error.about(.port(port.name), isPlace ? "network-namespace" : "device")
            }
        }
    }

    /// Stands in for every port of a configuration where its tables are tried alone.
    ///
    /// - Throws: `RouterError` of kind `memory`.
    static func standIns(
        for configuration: RouterConfiguration
    ) throws(RouterError) -> [OpenPort] {
        let absent = try AbsentPort()
        return try each(of: configuration) { (port, namespace) throws(RouterError) in
            OpenPort(
                configuration: port, namespace: namespace, port: absent, kind: .tap,
                place: "nowhere", mac: port.mac ?? MACAddress(rawValue: 0x0200_0000_0000))
        }
    }

    private static func each(
        of configuration: RouterConfiguration,
        _ make: (PortConfiguration, NamespaceIndex) throws(RouterError) -> OpenPort
    ) throws(RouterError) -> [OpenPort] {
        var made: [OpenPort] = []
        for (number, namespace) in configuration.namespaces.enumerated() {
            for port in namespace.ports {
                made.append(try make(port, NamespaceIndex(rawValue: UInt16(number))))
            }
        }
        return made
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
            if let mac = configuration.mac, mac == port.hostAddress {
                throw TAPInterface.hasSameAddress(mac, device).about(
                    .port(configuration.name), "mac")
            }
            let place = networkNamespace.map { "tap \(port.interface) in \($0)" }
            return OpenPort(
                configuration: configuration, namespace: namespace, port: port, kind: .tap,
                place: place ?? "tap \(port.interface)",
                mac: configuration.mac ?? .randomLocal(using: &random))
        }
    }
}
