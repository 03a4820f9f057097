public import Logging
internal import RoostHypervisor

/// How a backend serves its frontends.
public struct BackendOptions: Sendable {
    /// How it reaches the pages of a frontend that grants persistently.
    public var mode = GrantMode.persistent
    /// How it reaches those of one that does not, where ``mode`` is persistent.
    public var modeWithoutPersistence = GrantMode.copy
    /// What becomes of a grant that finds no room among the persistent ones.
    public var overflow = GrantOverflow.mapOnce
    /// The bound on a queue's persistent grants, or `nil` for what a full ring can name.
    public var persistentLimit: Int?
    /// The bound on all persistent grants of a device together, or `nil` for none beyond that.
    public var deviceLimit: Int?
    /// How long a persistent grant is kept unused.
    public var idleTime = Duration.seconds(60)
    /// In which order responses are given.
    public var order = ResponseOrder.asRequested
    /// The most queues of a device.
    public var queueLimit = 4
    /// The most order of a ring's size in pages.
    public var ringPageOrderLimit = 4
    /// The most segments of an indirect request; 0 offers none.
    public var indirectSegmentLimit = 256
    /// Whether barriers are offered; flushes are where the disk has a cache.
    public var offersBarriers = true
    /// Whether the folder of a device is removed once its frontend's domain is gone, where no tool
    /// stack does that.
    public var removesNodes = true
    /// Where it says who connects, and why one cannot.
    public var logger = Logger(label: "roost.disk.backend")

    /// The usual ones.
    public init() {}

    /// What is offered before a frontend makes its rings.
    var offer: BackendOffer {
        BackendOffer(
            maximumIndirectSegments: indirectSegmentLimit, maximumQueueCount: queueLimit,
            maximumRingPageOrder: ringPageOrderLimit)
    }

    /// Refuses what makes no sense.
    ///
    /// - Throws: `BlockError` of kind `request`.
    func check() throws(BlockError) {
        try BlockError.check("queues", queueLimit, 1...FrontendOptions.maximumQueueCount)
        try BlockError.check("ring page order", ringPageOrderLimit, 0...RingLayout.maximumPageOrder)
        try BlockError.check(
            "indirect segments", indirectSegmentLimit,
            0...BackendConfiguration.indirectSegmentCeiling)
        if let persistentLimit {
            try BlockError.check("persistent grants", persistentLimit, 1...1 << 20)
        }
    }
}
