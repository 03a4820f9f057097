internal import RoostHypervisor

/// Judges the nodes and the handshake of one device.
///
/// What each state means: `xen/include/public/io/xenbus.h` and the tables of
/// `xen/include/public/io/blkif.h`.
struct DeviceDoctor {
    let examination: DiskExamination
    let nodes: DeviceNodes
    let tree: StoreTree
    /// What the backend says about the device, where it says something.
    let snapshot: DeviceSnapshot?

    init(_ examination: DiskExamination, _ nodes: DeviceNodes) {
        self.examination = examination
        self.nodes = nodes
        tree = examination.tree
        let disk = examination.server.snapshot
        snapshot = disk?.devices.first { device in
            disk.map { nodes.matches(device, of: $0) } ?? false
        }
    }

    /// How sentences name the device.
    var label: String { "device \(nodes.device) of domain \(nodes.frontend)" }

    func findings() -> [DiskFinding] {
        let broken = structureFindings()
        guard broken.allSatisfy({ $0.severity != .fault }) else { return broken }
        var findings = broken
        let (frontend, backend) = (state(nodes.frontendPath), state(nodes.backendPath))
        switch (frontend, backend) {
        case (.success(let frontend), .success(let backend)):
            findings += handshakeFindings(frontend, backend)
        case (.failure(let finding), .success), (.success, .failure(let finding)):
            findings.append(finding.finding)
        case (.failure(let first), .failure(let second)):
            findings += [first.finding, second.finding]
        }
        return findings
    }

    // MARK: Nodes

    /// What is missing, cannot be read, or does not fit.
    private func structureFindings() -> [DiskFinding] {
        let (frontend, backend) = (nodes.frontendPath, nodes.backendPath)
        if let living = examination.livingDomains, !living.contains(nodes.frontend) {
            return [
                fault(
                    .domainDead,
                    "domain \(nodes.frontend), which had device \(nodes.device), is dead: remove "
                        + "its nodes with roost disk detach, unless its guest comes back")
            ]
        }
        let findings =
            denied(frontend, owner: nodes.frontend) + denied(backend, owner: nodes.backend)
        guard findings.isEmpty else { return findings }
        guard tree.exists(frontend) else {
            return [
                fault(
                    .frontendMissing,
                    "\(label) has a backend but no frontend: \(frontend) is missing; attach it "
                        + "anew with roost disk attach, which writes both at once")
            ]
        }
        guard tree.exists(backend) else {
            return [
                fault(
                    .backendMissing,
                    "\(label) has a frontend but no backend: \(backend) is missing; attach it "
                        + "anew with roost disk attach, which writes both at once")
            ]
        }
        return pathFindings() + permissionFindings() + otherBackendFindings()
    }

    /// A node or key of a folder that may not be read.
    private func denied(_ path: String, owner: UInt16) -> [DiskFinding] {
        let paths = [path] + tree.children(of: path).map { "\(path)/\($0)" }
        for path in paths {
            switch tree[path] {
            case .denied:
                return [
                    fault(
                        .nodeDenied,
                        "\(path) may not be read (EACCES): domain \(owner), whose it is, is dead, "
                            + "or its permissions leave out the other end; attach it anew")
                ]
            case .failed(let reason):
                return [fault(.nodeFailed, "\(path) cannot be read: \(reason)")]
            case .missing, .value: continue
            }
        }
        return []
    }

    private func pathFindings() -> [DiskFinding] {
        var findings: [DiskFinding] = []
        for (own, key, other, idKey, id) in [
            (nodes.frontendPath, "backend", nodes.backendPath, "backend-id", nodes.backend),
            (nodes.backendPath, "frontend", nodes.frontendPath, "frontend-id", nodes.frontend),
        ] {
            switch tree["\(own)/\(key)"].text {
            case nil: findings.append(missing("\(own)/\(key)", "its value is \(other)"))
            case other: break
            case .some(let path):
                findings.append(
                    fault(
                        .pathMismatch,
                        "\(own)/\(key) is \(DiskDoctor.quoted(path)) but should be \(other): the "
                            + "two ends of \(label) do not point at each other; attach it anew"))
            }
            switch tree["\(own)/\(idKey)"].text {
            case nil: findings.append(missing("\(own)/\(idKey)", "its value is \(id)"))
            case "\(id)": break
            case .some(let text):
                findings.append(
                    fault(
                        .identityMismatch,
                        "\(own)/\(idKey) is \(DiskDoctor.quoted(text)) but should be \(id): "
                            + "attach \(label) anew"))
            }
            if tree["\(own)/state"].text == nil {
                findings.append(missing("\(own)/state", "its first value is 1"))
            }
        }
        return findings
    }

    /// A device that belongs to a backend which is no longer the disk's.
    private func otherBackendFindings() -> [DiskFinding] {
        guard let disk = examination.server.snapshot, disk.domain != nodes.backend else {
            return []
        }
        return [
            fault(
                .otherBackend,
                "\(label) belongs to the backend in domain \(nodes.backend), but \(disk.name) is "
                    + "now served by domain \(disk.domain): detach the device and attach it anew")
        ]
    }

    /// A finding in the place of a state.
    private struct NoState: Error {
        let finding: DiskFinding
    }

    private func state(_ path: String) -> Result<XenbusState, NoState> {
        let text = tree["\(path)/state"].text ?? ""
        if let number = Int(text), let state = XenbusState(rawValue: number) {
            return .success(state)
        }
        return .failure(
            NoState(
                finding: fault(
                    .stateUnknown,
                    "\(path)/state is \(DiskDoctor.quoted(text)), which is no state (0 to 8): "
                        + "whoever wrote it is broken; attach \(label) anew")))
    }

    // MARK: Sentences

    func fault(_ rule: DiskFinding.Rule, _ sentence: String) -> DiskFinding {
        DiskFinding(.fault, rule, sentence)
    }

    private func missing(_ path: String, _ right: String) -> DiskFinding {
        fault(.keyMissing, "\(path) is missing (\(right)): write it, or attach \(label) anew")
    }
}
