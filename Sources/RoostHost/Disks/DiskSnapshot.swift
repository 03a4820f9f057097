/// A disk that is served, as its control socket describes it.
public struct DiskSnapshot: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String
    /// The image's path, or `ram:` and its size.
    public var image: String
    /// What the image's file or device is known by on this host, whatever its path; `nil` for memory.
    public var imageIdentity: [String]?
    /// What the image looked like when it was opened, other than a disk's sectors: `qcow2`, `LUKS` and
    /// so on.
    public var imageLook: String?
    /// Its size in bytes.
    public var byteCount: UInt64
    /// The bytes that a request's place and length are multiples of.
    public var logicalSectorByteCount: Int
    /// Whether nothing can be written.
    public var isReadOnly: Bool
    /// The process that serves it.
    public var processID: Int32
    /// The domain that the process is.
    public var domain: UInt16
    /// The socket of the hypervisor it belongs to; `nil` on a real Xen.
    public var hypervisorSocket: String?
    /// How it reaches a frontend's pages: `persistent`, `map` or `copy`.
    public var mode: String
    /// Whether the hypervisor is there; the process waits for it when not.
    public var isHypervisorConnected: Bool
    /// When the snapshot was taken, in nanoseconds of the system's monotonic clock.
    public var nanoseconds: UInt64
    /// The frontends' ends, by domain and device.
    public var devices: [DeviceSnapshot]

    /// Describes a disk.
    public init(
        name: String, image: String, byteCount: UInt64, logicalSectorByteCount: Int = 512,
        isReadOnly: Bool = false, processID: Int32, domain: UInt16,
        hypervisorSocket: String? = nil, mode: String = "persistent",
        isHypervisorConnected: Bool = true, nanoseconds: UInt64, devices: [DeviceSnapshot] = []
    ) {
        self.name = name
        self.image = image
        self.byteCount = byteCount
        self.logicalSectorByteCount = logicalSectorByteCount
        self.isReadOnly = isReadOnly
        self.processID = processID
        self.domain = domain
        self.hypervisorSocket = hypervisorSocket
        self.mode = mode
        self.isHypervisorConnected = isHypervisorConnected
        self.nanoseconds = nanoseconds
        self.devices = devices
    }
}

/// A disk as one frontend has it.
public struct DeviceSnapshot: Codable, Equatable, Sendable {
    /// What both ends agreed on.
    public struct Features: Codable, Equatable, Sendable {
        /// Whether grants are kept mapped.
        public var isPersistent = false
        /// The most segments of an indirect request; 0 when there are none.
        public var indirectSegmentLimit = 0
        /// Whether flushes are offered.
        public var canFlush = false
        /// Whether barriers are offered.
        public var canWriteBarriers = false
        /// Whether discards are offered.
        public var canDiscard = false

        /// Nothing is offered.
        public init() {}
    }

    /// The frontend's domain.
    public var frontend: UInt16
    /// The device's number.
    public var device: UInt32
    /// The frontend's state as the backend saw it last, by its name in `xenbus.h`.
    public var frontendState: String
    /// The backend's state.
    public var backendState: String
    /// The ring's layout, once connected.
    public var blockProtocol: String?
    /// The pages of each queue's ring, once connected.
    public var ringPageCount: Int?
    /// What both ends agreed on, once connected.
    public var features: Features?
    /// For how long it is in its states, in seconds.
    public var seconds: Double
    /// Why it is not connected, where the backend knows; one sentence.
    public var failure: String?
    /// The queues, once connected.
    public var queues: [QueueSnapshot]

    /// Describes a device that is not connected.
    public init(
        frontend: UInt16, device: UInt32, frontendState: String, backendState: String,
        seconds: Double = 0, failure: String? = nil, queues: [QueueSnapshot] = []
    ) {
        self.frontend = frontend
        self.device = device
        self.frontendState = frontendState
        self.backendState = backendState
        self.seconds = seconds
        self.failure = failure
        self.queues = queues
    }

    /// What all queues have done.
    public var total: QueueSnapshot { queues.reduce(into: QueueSnapshot()) { $0.add($1) } }
}
