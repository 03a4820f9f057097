public import Logging
public import RoostHypervisor

/// How a frontend grants its pages.
public enum GrantPolicy: String, Sendable, CaseIterable {
    /// Grants pages once, keeps them granted and uses them again, whatever the backend does.
    case always
    /// As `always` if both ends offer persistent grants, else as `never`.
    case negotiated
    /// Grants pages for a request and ends the grants after it.
    case never
}

/// What a frontend asks for and offers.
public struct FrontendOptions: Sendable {
    /// The most queues to use; the backend may offer fewer.
    public var queueCount = 1
    /// The order of a ring's size in pages, at most 4; the backend may offer less.
    public var ringPageOrder = 0
    /// The most segments of a request; above 11 it takes indirect ones, if the backend offers them.
    public var segmentLimit = 32
    /// The layout of the ring's slots.
    public var blockProtocol = BlockProtocol.x86_64
    /// How pages are granted.
    public var policy = GrantPolicy.always
    /// The most requests of callers that a queue holds at once; more have to wait.
    public var depth = 256
    /// The most pages that one queue has granted at once, besides its ring.
    ///
    /// By default as many as its ring can name, which is what Linux's frontend takes at once.
    public var grantLimit: Int?

    /// Where it says what happens to the connection.
    public var logger = Logger(label: "roost.disk.frontend")

    /// The usual ones.
    public init() {}

    /// The most segments that a request can have (Linux's backend offers 256: 1 MiB).
    static let maximumSegmentLimit = 256
    /// The most order of a ring (Linux's backend offers 4: 16 pages).
    static let maximumRingPageOrder = 4
    /// The most queues.
    static let maximumQueueCount = 64
    /// The most requests of callers a queue can hold.
    static let maximumDepth = 1 << 16

    /// Refuses what makes no sense.
    ///
    /// - Throws: `BlockError` of kind `request`.
    func check() throws(BlockError) {
        try BlockError.check("queues", queueCount, 1...Self.maximumQueueCount)
        try BlockError.check("ring page order", ringPageOrder, 0...Self.maximumRingPageOrder)
        try BlockError.check("segments", segmentLimit, 1...Self.maximumSegmentLimit)
        try BlockError.check("depth", depth, 1...Self.maximumDepth)
        if let grantLimit {
            // A request of the largest size has to fit, or it would wait for ever.
            try BlockError.check("grants", grantLimit, segmentLimit + 1...1 << 20)
        }
    }
}
