/// Says in words why a disk is not connected or is slow.
///
/// It judges what was read and reads nothing itself, so every rule is tried in tests without a
/// hypervisor. Text of other domains is quoted, cut to 64 characters.
public enum DiskDoctor {
    /// Judges a disk.
    ///
    /// - Parameter examination: What could be learned about it.
    /// - Returns: What is to be said, worst first; never nothing.
    public static func findings(_ examination: DiskExamination) -> [DiskFinding] {
        var findings = processFindings(examination)
        let isReadable = examination.hypervisor == .reachable
        let devices = isReadable ? devices(of: examination) : []
        for device in devices {
            findings += DeviceDoctor(examination, device).findings()
        }
        if let snapshot = examination.server.snapshot {
            // A device that has no nodes that could be read is known to its process alone.
            for device in snapshot.devices
            where !devices.contains(where: { $0.matches(device, of: snapshot) }) {
                findings += DeviceSpeed(device, snapshot, nodes: nil).findings()
            }
            findings += imageFindings(snapshot)
            if isReadable, devices.isEmpty, snapshot.devices.isEmpty {
                findings.append(
                    DiskFinding(
                        .warning, .noDevice,
                        "process \(snapshot.processID) serves \(examination.name) as domain "
                            + "\(snapshot.domain), and no domain has a device of it: run roost "
                            + "disk connect \(examination.name), or roost disk attach"))
            }
        }
        // Sorted by how bad they are; the order within stays.
        return [.fault, .warning, .note].flatMap { severity in
            findings.filter { $0.severity == severity }
        }
    }

    /// What the image looks like, other than a disk's sectors.
    private static func imageFindings(_ disk: DiskSnapshot) -> [DiskFinding] {
        guard let look = disk.imageLook else { return [] }
        guard look != "LUKS" else {
            return [
                DiskFinding(
                    .note, .encrypted,
                    "the image \(quoted(disk.image)) of \(disk.name) has a LUKS header: its guest is "
                        + "served the encrypted sectors, and unlocks them itself")
            ]
        }
        return [
            DiskFinding(
                .warning, .foreignFormat,
                "the image \(quoted(disk.image)) of \(disk.name) looks like a \(quoted(look)) image "
                    + "and is served as raw sectors: a guest sees the file's own data for its disk; "
                    + "if it is such an image, stop roost disk serve before anything is written and "
                    + "serve it without --format raw, which says how; if a guest wrote that, all is "
                    + "well")
        ]
    }

    private static func processFindings(_ examination: DiskExamination) -> [DiskFinding] {
        var findings: [DiskFinding] = []
        func add(_ rule: DiskFinding.Rule, _ sentence: String) {
            findings.append(DiskFinding(.fault, rule, sentence))
        }
        switch examination.hypervisor {
        case .reachable: break
        case .absent(let socket):
            add(
                .hypervisorAbsent,
                "no hypervisor answers on \(socket): start roost hypervisor, or see that "
                    + "ROOST_SOCKET is the same for all commands")
        case .failed(let reason):
            add(.hypervisorFailed, "the hypervisor's store cannot be read: \(reason)")
        }
        let name = examination.name
        switch examination.server {
        case .alive(let snapshot):
            guard !snapshot.isHypervisorConnected else { break }
            add(
                .processAlone,
                "process \(snapshot.processID) serves \(name) but has lost its hypervisor, and "
                    + "waits for it: start roost hypervisor")
        case .absent:
            let others = examination.others
            add(
                .notServed,
                "nobody serves a disk named \(name)"
                    + (others.isEmpty
                        ? ", nor any other: run roost disk serve --name \(name)"
                        : ": served are \(others.prefix(20).joined(separator: ", "))"))
        case .dead(let socket):
            add(
                .processDead,
                "the process that served \(name) is gone and left \(socket) behind: start roost "
                    + "disk serve --name \(name) again, and guests go on")
        case .hung(let socket):
            add(
                .processHung,
                "the process that serves \(name) is alive but does not answer on \(socket): see "
                    + "whether it is stopped (kill -CONT) or its storage hangs")
        case .failed(let reason):
            add(.processFailed, "the process that serves \(name) cannot be asked: \(reason)")
        }
        return findings
    }

    /// The devices whose nodes belong to a disk.
    ///
    /// They are those whose backend lies in the domain that serves it, those whose `params` name
    /// it, and those whose frontend points at one of both.
    static func devices(of examination: DiskExamination) -> [DeviceNodes] {
        let tree = examination.tree
        let server = examination.server.snapshot?.domain
        var devices: Set<DeviceNodes> = []
        for domain in tree.children(of: "/local/domain") {
            guard let number = UInt16(domain) else { continue }
            let backends = "/local/domain/\(domain)/backend/vbd"
            for frontend in tree.children(of: backends) {
                for device in tree.children(of: "\(backends)/\(frontend)") {
                    let path = "\(backends)/\(frontend)/\(device)"
                    guard let nodes = DeviceNodes(backendPath: path) else { continue }
                    let params = tree["\(path)/params"].text
                    guard params == examination.name || params == nil && number == server else {
                        continue
                    }
                    devices.insert(nodes)
                }
            }
            // Frontends that point at a backend that has no nodes.
            let frontends = "/local/domain/\(domain)/device/vbd"
            for device in tree.children(of: frontends) {
                guard let path = tree["\(frontends)/\(device)/backend"].text,
                    let nodes = DeviceNodes(backendPath: path), nodes.backend == server,
                    nodes.frontend == number, "\(nodes.device)" == device,
                    !tree.exists(path)
                else { continue }
                devices.insert(nodes)
            }
        }
        return devices.sorted { ($0.frontend, $0.device) < ($1.frontend, $1.device) }
    }

    /// Text of somebody else, quoted.
    static func quoted(_ text: String) -> String {
        "'\(text.prefix(64))\(text.count > 64 ? "…" : "")'"
    }
}

extension DeviceNodes {
    /// Whether a snapshot's device is this one.
    func matches(_ device: DeviceSnapshot, of disk: DiskSnapshot) -> Bool {
        frontend == device.frontend && self.device == device.device && backend == disk.domain
    }
}
