/// What a frontend publishes for its backend before it goes to Initialised.
///
/// The keys lie in the frontend's folder, in one of three layouts:
///
///     one queue, one page       ring-ref  event-channel
///     one queue, 2^o pages      ring-page-order = o  ring-ref0 …  event-channel
///     q queues, q >= 2          multi-queue-num-queues = q, and the same under queue-0/ …;
///                               ring-page-order stays at the top
///     always                    protocol  feature-persistent
///
/// Read as Linux's backend reads them: where `ring-page-order` is, even 0, references are
/// numbered; without `protocol` the ring is an x86_32 one.
public struct FrontendKeys: Equatable, Sendable {
    /// One queue's ring and channel.
    public struct Queue: Equatable, Sendable {
        /// The pages of the ring, in their order; a power of two of them.
        public var ringReferences: [GrantReference]
        /// The frontend's end of the event channel.
        public var port: EventPort

        /// Describes a queue.
        public init(ringReferences: [GrantReference], port: EventPort) {
            self.ringReferences = ringReferences
            self.port = port
        }
    }

    /// The largest ring that anybody makes: 2^5 pages (FreeBSD).
    public static let largestRingPageOrder = 5
    /// The most queues that a backend here may offer.
    public static let largestQueueCount = 256

    /// The queues, at least one; all have as many pages.
    public var queues: [Queue]
    /// The layout of the slots.
    public var blockProtocol: BlockProtocol
    /// Whether the frontend can live with a backend that keeps its grants.
    public var isPersistent: Bool

    /// Describes what a frontend has made.
    ///
    /// - Precondition: There is a queue, and each has the same power of two of pages.
    public init(queues: [Queue], blockProtocol: BlockProtocol = .native, isPersistent: Bool) {
        let pageCount = queues.first?.ringReferences.count ?? 0
        precondition(pageCount > 0 && pageCount & (pageCount - 1) == 0)
        precondition(queues.allSatisfy { $0.ringReferences.count == pageCount })
        self.init(checked: queues, blockProtocol, isPersistent)
    }

    private init(checked queues: [Queue], _ blockProtocol: BlockProtocol, _ isPersistent: Bool) {
        self.queues = queues
        self.blockProtocol = blockProtocol
        self.isPersistent = isPersistent
    }

    /// A ring has 2 to the power of this many pages.
    public var ringPageOrder: Int {
        (queues.first?.ringReferences.count ?? 1).trailingZeroBitCount
    }

    /// The keys to be written, all in one transaction.
    public var entries: [StoreEntry] {
        var entries: [StoreEntry] = []
        let order = ringPageOrder
        if order > 0 { entries.append(StoreEntry(DeviceKey.ringPageOrder, order)) }
        if queues.count > 1 { entries.append(StoreEntry(DeviceKey.queueCount, queues.count)) }
        for (index, queue) in queues.enumerated() {
            let prefix = Self.prefix(of: index, among: queues.count)
            for (page, reference) in queue.ringReferences.enumerated() {
                let key = Self.ringKey(order > 0 ? page : nil)
                entries.append(StoreEntry(prefix + key, reference.rawValue))
            }
            entries.append(StoreEntry(prefix + DeviceKey.eventChannel, queue.port.rawValue))
        }
        entries.append(StoreEntry(DeviceKey.abi, blockProtocol.name))
        entries.append(StoreEntry(DeviceKey.persistent, isPersistent))
        return entries
    }

    /// Every key that a frontend may have left of another layout, to be removed before ``entries``
    /// are written again: what is absent means something.
    public static var allTopLevelKeys: [String] {
        let numbered = (0..<1 << largestRingPageOrder).map { ringKey($0) }
        return [DeviceKey.ringPageOrder, DeviceKey.queueCount, DeviceKey.ringReference]
            + numbered + [DeviceKey.eventChannel]
    }

    /// Reads what a frontend has published.
    ///
    /// - Parameters:
    ///   - offer: What it was offered: more is refused.
    ///   - value: Answers the value of a key, relative to the frontend's folder, or `nil`.
    /// - Throws: `HypervisorError` of kind `malformed`, which names the key and its value.
    public init(
        offeredBy offer: BackendOffer, _ value: (String) -> String?
    ) throws(HypervisorError) {
        self = try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try Self.read(offer, KeyReader(writer: "frontend", value: value))
        }
    }

    private static func read(
        _ offer: BackendOffer, _ keys: KeyReader
    ) throws(HypervisorError) -> FrontendKeys {
        let blockProtocol = try blockProtocol(keys)
        let isPersistent = try keys.persistence()
        let count = try keys.number(DeviceKey.queueCount, 0...UInt32.max) ?? 1
        guard count > 0, count <= offer.maximumQueueCount else {
            throw keys.refusal(
                DeviceKey.queueCount,
                "asks for a number of queues outside 1 to the \(offer.maximumQueueCount) offered")
        }
        let order = try keys.number(DeviceKey.ringPageOrder, 0...UInt32.max)
        guard order ?? 0 <= offer.maximumRingPageOrder else {
            throw keys.refusal(
                DeviceKey.ringPageOrder,
                "asks for a larger ring than the order \(offer.maximumRingPageOrder) offered")
        }
        var queues: [Queue] = []
        for index in 0..<Int(count) {
            let prefix = prefix(of: index, among: Int(count))
            var references: [GrantReference] = []
            for page in 0..<1 << (order ?? 0) {
                let key = prefix + ringKey(order == nil ? nil : Int(page))
                let reference = try keys.requiredNumber(key, 0...UInt32.max)
                references.append(GrantReference(rawValue: reference))
            }
            let port = try keys.requiredNumber(prefix + DeviceKey.eventChannel, 0...UInt32.max)
            queues.append(Queue(ringReferences: references, port: EventPort(rawValue: port)))
        }
        return FrontendKeys(checked: queues, blockProtocol, isPersistent)
    }

    private static func blockProtocol(
        _ keys: KeyReader
    ) throws(HypervisorError) -> BlockProtocol {
        guard let text = keys.value(DeviceKey.abi) else { return .x86_32 }
        guard let known = BlockProtocol(name: text) else {
            let names = BlockProtocol.allCases.map(\.name).joined(separator: " or ")
            throw keys.refusal(DeviceKey.abi, "must be \(names)")
        }
        return known
    }

    private static func prefix(of queue: Int, among count: Int) -> String {
        count > 1 ? "queue-\(queue)/" : ""
    }

    private static func ringKey(_ page: Int?) -> String {
        DeviceKey.ringReference + (page.map(String.init) ?? "")
    }
}
