extension PortConfiguration {
    /// The most addresses of a port.
    package static let addressLimit = 256
    /// The most bytes of a device's name (IFNAMSIZ less its end).
    private static let deviceNameLimit = 15

    /// Checks all but the name.
    func check() throws(ConfigurationFault) {
        try checkKind()
        let place = ConfigurationFault.Place.port(name)
        if let mac, mac.isMulticast || mac.rawValue == 0 {
            throw ConfigurationFault(
                place, "mac",
                "\(mac) is no port's own address: give one whose first octet is even, such as "
                    + "02:00:00:00:00:01, or leave it out")
        }
        try RouterConfiguration.check(place, "mtu", mtu, Self.mtus)
        if mtu < Self.leastIPv6MTU, addresses.contains(where: { $0.address.family == .ipv6 }) {
            throw ConfigurationFault(
                place, "mtu",
                "is \(mtu): IPv6 needs at least \(Self.leastIPv6MTU); raise it, or leave the IPv6 "
                    + "addresses out")
        }
        guard addresses.count <= Self.addressLimit else {
            throw ConfigurationFault(
                place, "addresses", "are \(addresses.count): give at most \(Self.addressLimit)")
        }
        for address in addresses { try check(address, place) }
    }

    private func checkKind() throws(ConfigurationFault) {
        let place = ConfigurationFault.Place.port(name)
        switch kind {
        case .tap(let device, let networkNamespace):
            // A percent sign would make the system number the device.
            let isDevice =
                !device.isEmpty && device.utf8.count <= Self.deviceNameLimit && device != "."
                && device != ".."
                && device.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/:%".utf8.contains($0) }
            guard isDevice else {
                throw ConfigurationFault(
                    place, "device",
                    "'\(device)' cannot name a device: use 1 to \(Self.deviceNameLimit) visible "
                        + "characters other than / : %")
            }
            guard let networkNamespace else { return }
            let isFile =
                !networkNamespace.isEmpty && networkNamespace.utf8.count <= 255
                && networkNamespace != "." && networkNamespace != ".."
                && networkNamespace.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x2F }
            guard isFile else {
                throw ConfigurationFault(
                    place, "network-namespace",
                    "'\(networkNamespace)' cannot name a network namespace: give a name that "
                        + "'ip netns list' shows, not a path")
            }
        }
    }

    private func check(
        _ address: InterfaceAddress, _ place: ConfigurationFault.Place
    ) throws(ConfigurationFault) {
        func refuse(_ reason: String) -> ConfigurationFault {
            ConfigurationFault(place, "addresses", "\(address) \(reason)")
        }
        if let reason = address.address.reasonNotToBeAHost {
            throw refuse("\(reason): give the port an address of a host")
        }
        guard address.prefixLength > 0 else {
            throw refuse(
                "says that all addresses are on the link: give the length of the link's prefix")
        }
        guard case .ipv4(let own) = address.address, let broadcast = address.broadcast else {
            return
        }
        guard own != own.masked(to: address.prefixLength) else {
            throw refuse("is the name of its subnet: give the port an address within it")
        }
        guard own != broadcast else {
            throw refuse("is its subnet's broadcast address: give the port an address within it")
        }
    }
}
