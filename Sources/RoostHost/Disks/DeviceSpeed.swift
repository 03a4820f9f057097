/// Judges how well a connected device does.
struct DeviceSpeed {
    /// From how many requests, segments or batches on a share of them says something.
    static let meaningfulCount: UInt64 = 1000
    /// The share of grants that should be found mapped.
    static let rightHitShare = 0.9
    /// The share of requests that may find the ring full.
    static let rightFullShare = 0.01
    /// The time that 99 of 100 requests should not take longer than, in nanoseconds.
    static let rightLatency: UInt64 = 10_000_000

    let device: DeviceSnapshot
    let disk: DiskSnapshot
    /// The device's nodes, where they could be read.
    let nodes: (tree: StoreTree, device: DeviceNodes)?
    private let total: QueueSnapshot

    init(
        _ device: DeviceSnapshot, _ disk: DiskSnapshot,
        nodes: (tree: StoreTree, device: DeviceNodes)?
    ) {
        self.device = device
        self.disk = disk
        self.nodes = nodes
        total = device.total
    }

    private var label: String { "device \(device.device) of domain \(device.frontend)" }

    private var requestCount: UInt64 { total.latency.count }

    func findings() -> [DiskFinding] {
        guard !device.queues.isEmpty else { return [unconnected()] }
        return readOnlyFindings() + grantFindings() + persistenceFindings() + requestFindings()
            + latencyFindings() + [facts()]
    }

    /// A device that its process alone knows, and that is not connected.
    private func unconnected() -> DiskFinding {
        DiskFinding(
            .fault, .backendFailure,
            "\(label) is not connected: the backend is \(device.backendState), the frontend "
                + "\(device.frontendState)" + (device.failure.map { ": \($0)" } ?? ""))
    }

    private func readOnlyFindings() -> [DiskFinding] {
        guard let nodes, disk.isReadOnly,
            nodes.tree["\(nodes.device.backendPath)/mode"].text == "w"
        else { return [] }
        return [
            warning(
                .readOnly,
                "\(nodes.device.backendPath)/mode is 'w' but \(disk.name) is served read-only: "
                    + "every write fails; serve it without --read-only or attach it with --mode r")
        ]
    }

    private func grantFindings() -> [DiskFinding] {
        var findings: [DiskFinding] = []
        if total.grantsStuck > 0 {
            findings.append(
                warning(
                    .grantsStuck,
                    "\(total.grantsStuck) grants of \(label) cannot be given back: the other end "
                        + "still uses them; they are tried again, and go with the connection"))
        }
        if total.grantOverflows > 0, total.grantsPeak >= total.grantsLimit {
            findings.append(
                warning(
                    .grantsFull,
                    "\(label) uses more pages than the backend keeps mapped "
                        + "(\(total.grantsLimit) grants, exceeded \(total.grantOverflows) times): "
                        + "raise --grants of roost disk serve, or lower the frontend's segments"))
        }
        let asked = total.grantHits.addingClamped(total.grantMisses)
        if device.features?.isPersistent == true, disk.mode == "persistent",
            asked >= Self.meaningfulCount,
            Double(total.grantHits) < Self.rightHitShare * Double(asked)
        {
            findings.append(
                warning(
                    .grantsMissed,
                    "only \(percent(total.grantHits, asked)) of the pages that \(label) sends were "
                        + "mapped already: its frontend does not use its pages again, or they "
                        + "were evicted (\(total.grantEvictions)); raise --grants"))
        }
        return findings
    }

    private func persistenceFindings() -> [DiskFinding] {
        guard let features = device.features, !features.isPersistent, let nodes else { return [] }
        let (front, back) = (nodes.device.frontendPath, nodes.device.backendPath)
        let offers = (
            frontend: nodes.tree["\(front)/feature-persistent"].text == "1"
                || nodes.tree["\(front)/feature-persistent-grants"].text == "1",
            backend: nodes.tree["\(back)/feature-persistent"].text == "1"
        )
        switch offers {
        case (true, true):
            return [
                warning(
                    .persistenceUnused,
                    "both ends of \(label) offer persistent grants and do not use them: one of "
                        + "them wrote feature-persistent after it connected; reconnect it")
            ]
        case (false, _):
            return [
                warning(
                    .frontendTransient,
                    "the frontend of \(label) offers no persistent grants, so each request is "
                        + "\(disk.mode == "copy" ? "copied" : "mapped and unmapped"): connect with "
                        + "--policy always, or load the guest's driver with them")
            ]
        case (true, false):
            return [
                DiskFinding(
                    .note, .backendTransient,
                    "the backend of \(label) keeps no grants, as it was told (--no-persistent or "
                        + "--mode \(disk.mode))")
            ]
        }
    }

    private func requestFindings() -> [DiskFinding] {
        var findings: [DiskFinding] = []
        if total.errors > 0 {
            findings.append(
                warning(
                    .requestErrors,
                    "\(total.errors) requests of \(label) were refused or failed: see the log of "
                        + "process \(disk.processID) for the first of them"))
        }
        if requestCount >= Self.meaningfulCount,
            Double(total.fullCount) > Self.rightFullShare * Double(requestCount)
        {
            findings.append(
                warning(
                    .ringFull,
                    "the ring of \(label) was full \(total.fullCount) times in \(requestCount) "
                        + "requests: connect with a larger one (--ring-order) or more --queues"))
        }
        let batches = total.notificationsSent.addingClamped(total.notificationsSuppressed)
        if batches >= Self.meaningfulCount, batches >= requestCount,
            total.notificationsSuppressed * 100 < batches
        {
            findings.append(
                DiskFinding(
                    .note, .unbatched,
                    "each request of \(label) is notified by itself: it sends one at a time, and "
                        + "would be faster with more of them under way"))
        }
        return findings
    }

    private func latencyFindings() -> [DiskFinding] {
        guard requestCount >= Self.meaningfulCount / 10,
            let whole = total.latency.nanoseconds(atPercentile: 99), whole > Self.rightLatency
        else { return [] }
        let times =
            "1 of 100 requests of \(label) takes longer than \(LatencyHistogram.text(whole))"
        guard let storage = total.storageLatency.nanoseconds(atPercentile: 99) else {
            return [
                warning(
                    .storageSlow,
                    "\(times): see whether the storage of \(disk.image) is busy (iostat -x)")
            ]
        }
        if Double(storage) >= 0.5 * Double(whole) {
            return [
                warning(
                    .storageSlow,
                    "\(times), of which its storage \(disk.image) takes \(LatencyHistogram.text(storage)): "
                        + "the storage is slow or busy (iostat -x)")
            ]
        }
        return [
            warning(
                .backendSlow,
                "\(times), of which its storage takes only \(LatencyHistogram.text(storage)): the backend, "
                    + "process \(disk.processID), waits for a processor or works off a full ring "
                    + "(top -H)")
        ]
    }

    /// How the device is, in one line.
    private func facts() -> DiskFinding {
        let features = device.features ?? DeviceSnapshot.Features()
        let queues = device.queues.count
        let pages = device.ringPageCount ?? 1
        let latency = [50.0, 99].compactMap { total.latency.nanoseconds(atPercentile: $0) }
        let batches = total.notificationsSent.addingClamped(total.notificationsSuppressed)
        let parts = [
            device.blockProtocol ?? "unknown protocol",
            "\(queues) queue\(queues == 1 ? "" : "s") of \(pages) page\(pages == 1 ? "" : "s")",
            features.isPersistent
                ? "\(total.grantsMapped) of \(total.grantsLimit) persistent grants mapped"
                : "no persistent grants",
            "\(requestCount) requests"
                + (latency.count == 2
                    ? ", half within \(LatencyHistogram.text(latency[0])), 99 % within \(LatencyHistogram.text(latency[1]))"
                    : ""),
            batches > 0
                ? "\(percent(total.notificationsSuppressed, batches)) of notifications saved"
                : "no notifications yet",
        ]
        return DiskFinding(
            .note, .connected,
            "\(label) is connected to \(disk.name): \(parts.joined(separator: ", "))")
    }

    private func warning(_ rule: DiskFinding.Rule, _ sentence: String) -> DiskFinding {
        DiskFinding(.warning, rule, sentence)
    }

    private func percent(_ part: UInt64, _ whole: UInt64) -> String {
        guard whole > 0 else { return "0 %" }
        return "\(Int(Double(part) / Double(whole) * 100)) %"
    }
}
