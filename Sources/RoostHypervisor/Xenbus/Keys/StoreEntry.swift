/// A key of a device's folder and its value.
public struct StoreEntry: Hashable, Sendable {
    /// Relative to the folder.
    public let key: String
    /// What stands there; decimal digits for a number.
    public let value: String

    /// Names a key and its value.
    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }

    init(_ key: String, _ value: some FixedWidthInteger) {
        self.init(key, "\(value)")
    }

    init(_ key: String, _ value: Bool) {
        self.init(key, value ? "1" : "0")
    }
}

/// Reads the keys of a folder that somebody else has written, and so may hold anything.
struct KeyReader {
    /// Whose folder, for errors: `frontend` or `backend`.
    let writer: String
    /// Answers a key's value; `nil` when there is none.
    let value: (String) -> String?

    /// A number; `nil` when the key is absent.
    func number<Number: FixedWidthInteger>(
        _ key: String, _ range: ClosedRange<Number>
    ) throws(HypervisorError) -> Number? {
        guard let text = value(key) else { return nil }
        guard let number = Number(decimal: text.utf8), range.contains(number) else {
            throw refusal(key, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A number that has to be there.
    func requiredNumber<Number: FixedWidthInteger>(
        _ key: String, _ range: ClosedRange<Number>
    ) throws(HypervisorError) -> Number {
        guard let number = try number(key, range) else { throw refusal(key, "is missing") }
        return number
    }

    /// Whether a feature is there: a number other than 0; an absent key is 0.
    func flag(_ key: String) throws(HypervisorError) -> Bool {
        try number(key, 0...UInt32.max) ?? 0 != 0
    }

    /// A text that has to be there.
    func requiredText(_ key: String) throws(HypervisorError) -> String {
        guard let text = value(key) else { throw refusal(key, "is missing") }
        return text
    }

    /// The error of a key; its value is shown, at most 80 characters of it.
    func refusal(_ key: String, _ why: String) -> HypervisorError {
        let shown = value(key).map { " '\($0.prefix(80))'" } ?? ""
        return HypervisorError(
            .malformed, "the \(writer)'s key '\(key)'\(shown) \(why); see what its driver writes")
    }

    /// Whether the peer can keep grants; the older name of the key is read too.
    func persistence() throws(HypervisorError) -> Bool {
        let key = DeviceKey.persistent
        return try flag(value(key) == nil ? DeviceKey.olderPersistent : key)
    }
}

/// The names of the keys that both ends know (`xen/include/public/io/blkif.h`).
enum DeviceKey {
    static let state = "state"
    static let persistent = "feature-persistent"
    /// What the first proposals called it: read, never written.
    static let olderPersistent = "feature-persistent-grants"
    static let ringReference = "ring-ref"
    static let ringPageOrder = "ring-page-order"
    static let eventChannel = "event-channel"
    static let queueCount = "multi-queue-num-queues"
    static let abi = "protocol"
    static let maximumQueues = "multi-queue-max-queues"
    static let maximumRingPageOrder = "max-ring-page-order"
    /// The deprecated form of the order: a number of pages.
    static let maximumRingPages = "max-ring-pages"
    static let maximumIndirectSegments = "feature-max-indirect-segments"
    static let flush = "feature-flush-cache"
    static let barrier = "feature-barrier"
    static let discard = "feature-discard"
    static let discardGranularity = "discard-granularity"
    static let discardAlignment = "discard-alignment"
    static let discardSecure = "discard-secure"
    static let sectors = "sectors"
    static let sectorSize = "sector-size"
    static let physicalSectorSize = "physical-sector-size"
    static let info = "info"
}
