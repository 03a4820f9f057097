import RoostHost

/// A disk that is well, which each test breaks in one way.
struct DoctorCase: Sendable {
    static let front = "/local/domain/3/device/vbd/51712"
    static let back = "/local/domain/5/backend/vbd/3/51712"

    var examination: DiskExamination
    var disk: DiskSnapshot

    /// web1, served by process 77 as domain 5 and connected to domain 3.
    init() {
        var device = DeviceSnapshot(
            frontend: 3, device: 51712, frontendState: "Connected", backendState: "Connected")
        device.blockProtocol = "x86_64-abi"
        device.ringPageCount = 1
        var features = DeviceSnapshot.Features()
        features.isPersistent = true
        features.indirectSegmentLimit = 256
        device.features = features
        device.queues = [Self.wellQueue]
        disk = DiskSnapshot(
            name: "web1", image: "web1.raw", byteCount: 1 << 30, processID: 77, domain: 5,
            nanoseconds: 0, devices: [device])
        examination = DiskExamination(
            name: "web1", tree: StoreTree(Self.wellNodes), livingDomains: [0, 3, 5])
    }

    private static let wellQueue: QueueSnapshot = {
        var queue = QueueSnapshot()
        queue.reads = 10_000
        queue.readBytes = 10_000 << 12
        queue.slotCount = 32
        queue.grantsLimit = 1056
        queue.grantsPeak = 352
        queue.grantsMapped = 352
        queue.grantHits = 9_648
        queue.grantMisses = 352
        queue.notificationsSent = 5_000
        queue.notificationsSuppressed = 3_000
        queue.latency = LatencyHistogram([.init(nanoseconds: 48_000, count: 10_000)])
        return queue
    }()

    private static let wellNodes: [String: StoreTree.Node] = [
        "/local/domain/3": .value(""), "/local/domain/5": .value(""),
        front: .value(""), "\(front)/backend": .value(back), "\(front)/backend-id": .value("5"),
        "\(front)/state": .value("4"), "\(front)/ring-ref": .value("8"),
        "\(front)/event-channel": .value("9"), "\(front)/protocol": .value("x86_64-abi"),
        "\(front)/feature-persistent": .value("1"),
        back: .value(""), "\(back)/frontend": .value(front), "\(back)/frontend-id": .value("3"),
        "\(back)/state": .value("4"), "\(back)/online": .value("1"), "\(back)/mode": .value("w"),
        "\(back)/params": .value("web1"), "\(back)/feature-persistent": .value("1"),
        "\(back)/max-ring-page-order": .value("4"),
        "\(back)/multi-queue-max-queues": .value("2"),
    ]

    /// What the doctor says; the process is alive unless the case says otherwise.
    func findings(isServed: Bool = true) -> [DiskFinding] {
        var examination = examination
        if isServed { examination.server = .alive(disk) }
        return DiskDoctor.findings(examination)
    }

    subscript(front key: String) -> StoreTree.Node {
        get { examination.tree["\(Self.front)/\(key)"] }
        set { examination.tree["\(Self.front)/\(key)"] = newValue }
    }

    subscript(back key: String) -> StoreTree.Node {
        get { examination.tree["\(Self.back)/\(key)"] }
        set { examination.tree["\(Self.back)/\(key)"] = newValue }
    }

    /// The device's states.
    mutating func states(_ frontend: String, _ backend: String) {
        self[front: "state"] = .value(frontend)
        self[back: "state"] = .value(backend)
        disk.devices[0].queues = []
    }

    /// Takes away a node and all below it.
    mutating func remove(_ path: String) {
        examination.tree[path] = .missing
        for name in examination.tree.children(of: path) {
            examination.tree["\(path)/\(name)"] = .missing
        }
    }

    /// The device's one queue.
    var queue: QueueSnapshot {
        get { disk.devices[0].queues[0] }
        set { disk.devices[0].queues[0] = newValue }
    }
}
