internal import RoostHypervisor

extension DeviceDoctor {
    /// What the two states say together.
    func handshakeFindings(_ frontend: XenbusState, _ backend: XenbusState) -> [DiskFinding] {
        switch (frontend, backend) {
        case (.connected, .connected):
            guard let snapshot, let disk = examination.server.snapshot else { return [connected()] }
            return DeviceSpeed(snapshot, disk, nodes: (tree, nodes)).findings()
        case (.closing, _), (.closed, _), (_, .closing), (_, .closed):
            return [closed(frontend, backend)]
        case (.unknown, _), (_, .unknown):
            return [
                fault(
                    .removed,
                    "\(label) is being removed: the frontend is \(frontend.name), the backend "
                        + "\(backend.name); attach it anew if it is still wanted")
            ]
        case (_, .initialising):
            return failure + [backendIdle()]
        case (.initialising, .initialisingWait):
            return [frontendIdle()]
        case (.initialised, .initialisingWait), (.initialised, .initialised):
            let faults = publishedFindings()
            return failure
                + (faults.contains { $0.severity == .fault }
                    ? faults
                    : faults + [backendWaits()])
        case (.initialised, .connected), (.initialising, .connected):
            return [
                fault(
                    .frontendStuck,
                    "\(label): the backend is Connected and the frontend still \(frontend.name): "
                        + "it has not taken what the backend published; see the guest's log "
                        + "(sectors, sector-size), or restart its driver")
            ]
        default:
            return failure + [
                fault(
                    .stateMismatch,
                    "\(label): the frontend is \(frontend.name) and the backend \(backend.name), "
                        + "which do not belong together: one end lost the other; detach the "
                        + "device and attach it anew")
            ]
        }
    }

    /// What the backend itself says against the device; nothing where it says nothing.
    private var failure: [DiskFinding] {
        guard let failure = snapshot?.failure else { return [] }
        return [fault(.backendFailure, "\(label): the backend refused it: \(failure)")]
    }

    private func connected() -> DiskFinding {
        DiskFinding(
            .note, .connected,
            "\(label) is connected to domain \(nodes.backend), as far as the store tells")
    }

    private func closed(_ frontend: XenbusState, _ backend: XenbusState) -> DiskFinding {
        let online = tree["\(nodes.backendPath)/online"].text
        let states = "the frontend is \(frontend.name), the backend \(backend.name)"
        if online == "0" {
            return fault(
                .closing,
                "\(label) is being detached (online is 0; \(states)): "
                    + (frontend == .closed && backend == .closed
                        ? "remove its nodes with roost disk detach"
                        : "the end that is not Closed yet still holds it; see that it runs"))
        }
        return fault(
            .closed,
            "\(label) is closed though it is to stay (online is \(online ?? "missing"); \(states)): "
                + (frontend == .closed || frontend == .closing
                    ? "the guest let it go; load its driver or restart the guest"
                    : "the backend gave it up; see its log, then restart it"))
    }

    private func backendIdle() -> DiskFinding {
        let server = examination.server
        let hint =
            switch server {
            case .alive(let disk):
                "process \(disk.processID) has not taken the device; see that \(nodes.backendPath) "
                    + "names its disk in params"
            case .hung: "the process that serves it does not answer"
            case .absent, .dead, .failed:
                "nobody serves it; run roost disk serve --name \(examination.name)"
            }
        return fault(
            .backendIdle, "\(label) waits for its backend, which is Initialising: \(hint)")
    }

    private func frontendIdle() -> DiskFinding {
        let keys = ["ring-ref", "ring-ref0", "event-channel", "queue-0", "multi-queue-num-queues"]
        if keys.contains(where: { tree.exists("\(nodes.frontendPath)/\($0)") }) {
            return fault(
                .frontendWaits,
                "\(label): the backend waits in InitWait for a frontend that has written keys of "
                    + "its rings and never published them (it is still Initialising): its guest "
                    + "hangs, failed or left them from before; see its log")
        }
        return fault(
            .frontendIdle,
            "\(label): the backend is ready (InitWait) and the frontend Initialising: nobody runs "
                + "it; start the guest in domain \(nodes.frontend), or see that its block driver "
                + "is loaded")
    }

    private func backendWaits() -> DiskFinding {
        let hint =
            switch examination.server {
            case .alive(let disk): "process \(disk.processID) could not, or did not notice"
            case .hung: "the process that serves it does not answer"
            case .absent, .dead, .failed:
                "nobody serves it; run roost disk serve --name \(examination.name)"
            }
        return fault(
            .backendWaits,
            "\(label): the frontend has published all it must (Initialised) and the backend does "
                + "not connect: \(hint)")
    }
}

extension XenbusState {
    /// The state as Xen's header names it, without its prefix.
    package var name: String {
        switch self {
        case .unknown: "Unknown"
        case .initialising: "Initialising"
        case .initialisingWait: "InitWait"
        case .initialised: "Initialised"
        case .connected: "Connected"
        case .closing: "Closing"
        case .closed: "Closed"
        case .reconfiguring: "Reconfiguring"
        case .reconfigured: "Reconfigured"
        }
    }
}
