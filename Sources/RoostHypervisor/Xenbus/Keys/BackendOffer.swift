/// What a backend publishes before it goes to InitWait: how large rings and requests may be.
public struct BackendOffer: Equatable, Sendable {
    /// The most segments of an indirect request; 0 where there are none.
    public var maximumIndirectSegments: Int
    /// The most queues, at least one.
    public var maximumQueueCount: Int
    /// The largest ring has 2 to the power of this many pages.
    public var maximumRingPageOrder: Int

    /// The most segments that eight pages of descriptors hold (`blkif.h`:
    /// `BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST`, 512 a page).
    public static let largestIndirectSegments = 4096

    /// Describes what a backend can do.
    ///
    /// - Precondition: The numbers lie in 0...4,096, 1...256 and 0...5.
    public init(
        maximumIndirectSegments: Int = 256, maximumQueueCount: Int = 1,
        maximumRingPageOrder: Int = 4
    ) {
        precondition((0...Self.largestIndirectSegments).contains(maximumIndirectSegments))
        precondition((1...FrontendKeys.largestQueueCount).contains(maximumQueueCount))
        precondition((0...FrontendKeys.largestRingPageOrder).contains(maximumRingPageOrder))
        self.maximumIndirectSegments = maximumIndirectSegments
        self.maximumQueueCount = maximumQueueCount
        self.maximumRingPageOrder = maximumRingPageOrder
    }

    /// The keys to be written.
    public var entries: [StoreEntry] {
        var entries = [
            StoreEntry(DeviceKey.maximumQueues, maximumQueueCount),
            StoreEntry(DeviceKey.maximumRingPageOrder, maximumRingPageOrder),
        ]
        if maximumIndirectSegments > 0 {
            entries.append(
                StoreEntry(DeviceKey.maximumIndirectSegments, maximumIndirectSegments))
        }
        return entries
    }

    /// Reads what a backend has published; what exceeds our own bounds is cut to them.
    ///
    /// - Parameter value: Answers the value of a key, relative to the backend's folder, or `nil`.
    /// - Throws: `HypervisorError` of kind `malformed`, which names the key and its value.
    public init(reading value: (String) -> String?) throws(HypervisorError) {
        self = try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try Self.read(KeyReader(writer: "backend", value: value))
        }
    }

    private static func read(_ keys: KeyReader) throws(HypervisorError) -> BackendOffer {
        let segments = try keys.number(DeviceKey.maximumIndirectSegments, 0...UInt32.max) ?? 0
        let queues = try keys.number(DeviceKey.maximumQueues, 0...UInt32.max) ?? 1
        var order = try keys.number(DeviceKey.maximumRingPageOrder, 0...UInt32.max)
        if order == nil,
            let pages = try keys.number(
                DeviceKey.maximumRingPages, 1...UInt32.max)
        {
            order = UInt32(31 - pages.leadingZeroBitCount)
        }
        return BackendOffer(
            maximumIndirectSegments: Int(min(segments, UInt32(largestIndirectSegments))),
            maximumQueueCount: Int(
                min(max(queues, 1), UInt32(FrontendKeys.largestQueueCount))),
            maximumRingPageOrder: Int(
                min(order ?? 0, UInt32(FrontendKeys.largestRingPageOrder))))
    }
}
