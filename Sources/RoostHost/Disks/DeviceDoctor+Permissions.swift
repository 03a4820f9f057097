internal import RoostHypervisor

extension DeviceDoctor {
    /// States that the other end may not read, and so does not follow.
    func permissionFindings() -> [DiskFinding] {
        var ends = [(path: nodes.backendPath, reader: nodes.frontend)]
        // On the embedded hypervisor a backend is privileged: it reads everything.
        if examination.server.snapshot?.hypervisorSocket == nil {
            ends.append((nodes.frontendPath, nodes.backend))
        }
        return ends.compactMap { path, reader in
            let state = "\(path)/state"
            guard let permissions = tree.permissions[state],
                !permissions.letRead(DomainID(rawValue: reader))
            else { return nil }
            return fault(
                .nodeDenied,
                "\(state) may not be read by domain \(reader), which is the other end of \(label): "
                    + "give it back (xenstore-chmod \(state) n\(permissions.owner.rawValue) "
                    + "r\(reader)), or attach the device anew")
        }
    }
}

extension StorePermissions {
    /// Whether a domain may read the node (xenstore's own rule: the owner and domain 0 always may).
    fileprivate func letRead(_ domain: DomainID) -> Bool {
        if domain == owner || domain.rawValue == 0 { return true }
        let access = listed.first { $0.domain == domain }?.access ?? others
        return access == .read || access == .both
    }
}
