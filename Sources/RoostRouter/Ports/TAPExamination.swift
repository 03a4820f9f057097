internal import CRoost
internal import RoostSystem
internal import SystemPackage

/// What would keep TAP ports from being opened, as far as it can be known without opening any.
struct TAPExamination {
    /// What is to be known besides, a sentence each: what could not be looked at, and which rights the
    /// start will need that this process has not.
    private(set) var notes: [String] = []
    private let device: String

    /// Examines all TAP ports of a router.
    ///
    /// - Parameters:
    ///   - ports: The ports.
    ///   - device: The clone device's path.
    ///   - capabilities: What this process may do; nil where it is not known.
    /// - Throws: `RouterError` for the first thing that a start would fail by.
    init(
        _ ports: [PortConfiguration], device: String = TAPInterface.cloneDevice,
        capabilities: Capabilities? = .ofThisProcess
    ) throws(RouterError) {
        self.device = device
        try lookAtCloneDevice()
        var places: [String?: [Wanted]] = [:]
        var order: [String?] = []
        for port in ports {
            guard case .tap(let device, let place) = port.kind else { continue }
            if places[place] == nil { order.append(place) }
            places[place, default: []].append(
                Wanted(port: port.name, device: device, mac: port.mac))
        }
        for place in order { try look(at: places[place] ?? [], in: place) }
        if let capabilities { note(capabilities, entersNamespaces: order.contains { $0 != nil }) }
    }

    private struct Wanted: Sendable {
        let port: String
        let device: String
        let mac: MACAddress?
    }

    /// An interface as it was found, nil where there is none.
    private struct Found: Sendable {
        let isTAP: Bool
        let isOpen: Bool
        let address: MACAddress
    }

    private mutating func lookAtCloneDevice() throws(RouterError) {
        let opened = unsafe croost_tap_open(device)
        guard opened < 0 else {
            try? FileDescriptor(rawValue: opened).close()
            return
        }
        let reason = Errno(rawValue: -opened)
        guard reason == .permissionDenied || reason == .notPermitted else {
            throw TAPInterface.cannotOpen(device, reason)
        }
        notes.append(
            "this process may not open \(device): start the router as root, or as a user who may")
    }

    private mutating func look(at wanted: [Wanted], in place: String?) throws(RouterError) {
        guard let first = wanted.first else { return }
        let found: [Found?]
        do throws(RouterError) {
            found = try Self.find(wanted.map(\.device), in: place)
        } catch let error where error.kind == .port {
            notes.append(
                "the devices in \(place ?? "/proc/self/ns/net") are not looked at: \(error)")
            return
        } catch {
            throw error.about(.port(first.port), "network-namespace")
        }
        for case (let wanted, let found?) in zip(wanted, found) {
            guard found.isTAP else {
                throw TAPInterface.isOfAnotherKind(wanted.device).about(
                    .port(wanted.port), "device")
            }
            if let mac = wanted.mac, mac == found.address {
                throw TAPInterface.hasSameAddress(mac, wanted.device).about(
                    .port(wanted.port), "mac")
            }
            guard found.isOpen else { continue }
            notes.append(
                "the device \(wanted.device) of port '\(wanted.port)' is open in another process, "
                    + "which has to end before the start")
        }
    }

    private static func find(
        _ devices: [String], in place: String?
    ) throws(RouterError) -> [Found?] {
        guard let place else { return devices.map { find($0) } }
        return try TAPInterface.inNamespace(TAPInterface.path(ofNamespace: place)) {
            () throws(RouterError) in devices.map { find($0) }
        }
    }

    private static func find(_ device: String) -> Found? {
        var isTAP: CInt = 0
        var isOpen: CInt = 0
        var address: UInt64 = 0
        // SAFETY: local values, alive for the call; the name ends with a zero.
        let result = unsafe croost_interface_look(device, &isTAP, &isOpen, &address)
        guard result == 0 else { return nil }
        return Found(
            isTAP: isTAP != 0, isOpen: isOpen != 0, address: MACAddress(rawValue: address))
    }

    private mutating func note(_ capabilities: Capabilities, entersNamespaces: Bool) {
        if !capabilities.contains(.networkAdministration) {
            notes.append(
                "opening TAP devices needs CAP_NET_ADMIN, which this process has not: start the "
                    + "router as root, or make the devices for its user beforehand (ip tuntap add "
                    + "dev DEVICE mode tap user USER)")
        }
        if entersNamespaces, !capabilities.contains(.systemAdministration) {
            notes.append(
                "entering network namespaces needs CAP_SYS_ADMIN, which this process has not: start "
                    + "the router as root, or inside the namespace (ip netns exec)")
        }
    }
}

/// What the system lets a process do (capabilities(7)).
struct Capabilities: OptionSet, Sendable {
    let rawValue: UInt64

    /// CAP_NET_ADMIN.
    static let networkAdministration = Capabilities(rawValue: 1 << 12)
    /// CAP_SYS_ADMIN.
    static let systemAdministration = Capabilities(rawValue: 1 << 21)

    /// Those in effect for this process; nil where /proc does not tell.
    static var ofThisProcess: Capabilities? {
        let status = SmallFile.text(of: "/proc/self/status") ?? ""
        let name = "CapEff:"
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let bits = UInt64(
                line.dropFirst(name.count).filter { $0 != "\t" && $0 != " " }, radix: 16)
        else { return nil }
        return Capabilities(rawValue: bits)
    }
}
