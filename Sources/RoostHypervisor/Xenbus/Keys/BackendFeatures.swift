/// What a backend publishes before it goes to Connected: the disk, and what can be done with it.
///
/// A frontend reads it in Connected only: Linux's backend does not write it earlier.
public struct BackendFeatures: Equatable, Sendable {
    /// How sectors can be discarded.
    public struct Discard: Equatable, Sendable {
        /// What is discarded as a whole, in bytes.
        public var granularityByteCount: UInt32
        /// Where the first such whole begins, in bytes.
        public var alignmentByteCount: UInt32
        /// Whether what was there can be made unreadable.
        public var isSecure: Bool

        /// Describes discarding.
        public init(
            granularityByteCount: UInt32, alignmentByteCount: UInt32 = 0, isSecure: Bool = false
        ) {
            self.granularityByteCount = granularityByteCount
            self.alignmentByteCount = alignmentByteCount
            self.isSecure = isSecure
        }
    }

    /// What kind of disk it is (`blkif.h`: `VDISK_CDROM`, `VDISK_REMOVABLE`, `VDISK_READONLY`).
    public struct Info: OptionSet, Sendable {
        /// The bits as they stand in the store.
        public let rawValue: UInt32

        /// Takes the bits as they stand in the store.
        public init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// A CD drive.
        public static let cdrom = Info(rawValue: 1)
        /// A disk that can be taken out.
        public static let removable = Info(rawValue: 2)
        /// Nothing can be written.
        public static let readOnly = Info(rawValue: 4)
    }

    /// The most sectors a disk can have: its bytes are counted in 63 bits.
    public static let largestSectorCount: UInt64 = 1 << 54

    /// How many sectors of 512 bytes there are.
    public var sectorCount: UInt64
    /// What places and lengths are multiples of, in bytes: 512 to 4,096.
    public var sectorByteCount: UInt32
    /// What the medium writes at once, in bytes.
    public var physicalSectorByteCount: UInt32
    /// What kind of disk it is.
    public var info: Info
    /// Whether FLUSH_DISKCACHE is served.
    public var canFlush: Bool
    /// Whether WRITE_BARRIER is served.
    public var canBarrier: Bool
    /// How DISCARD is served, if it is.
    public var discard: Discard?
    /// Whether the backend keeps grants for a frontend that can live with it.
    public var isPersistent: Bool

    /// Describes a disk.
    public init(
        sectorCount: UInt64, sectorByteCount: UInt32 = 512,
        physicalSectorByteCount: UInt32 = 512, info: Info = [], canFlush: Bool = false,
        canBarrier: Bool = false, discard: Discard? = nil, isPersistent: Bool
    ) {
        self.sectorCount = sectorCount
        self.sectorByteCount = sectorByteCount
        self.physicalSectorByteCount = physicalSectorByteCount
        self.info = info
        self.canFlush = canFlush
        self.canBarrier = canBarrier
        self.discard = discard
        self.isPersistent = isPersistent
    }

    /// The keys to be written, all in one transaction with state 4.
    public var entries: [StoreEntry] {
        var entries = [
            StoreEntry(DeviceKey.flush, canFlush),
            StoreEntry(DeviceKey.barrier, canBarrier),
            StoreEntry(DeviceKey.discard, discard != nil),
        ]
        if let discard {
            entries += [
                StoreEntry(DeviceKey.discardGranularity, discard.granularityByteCount),
                StoreEntry(DeviceKey.discardAlignment, discard.alignmentByteCount),
                StoreEntry(DeviceKey.discardSecure, discard.isSecure),
            ]
        }
        return entries + [
            StoreEntry(DeviceKey.persistent, isPersistent),
            sectorsEntry,
            StoreEntry(DeviceKey.sectorSize, sectorByteCount),
            StoreEntry(DeviceKey.physicalSectorSize, physicalSectorByteCount),
            StoreEntry(DeviceKey.info, info.rawValue),
        ]
    }

    /// The one key that is written again, with state 4, when the disk's size changes.
    public var sectorsEntry: StoreEntry { StoreEntry(DeviceKey.sectors, sectorCount) }

    /// Reads what a backend has published.
    ///
    /// - Parameter value: Answers the value of a key, relative to the backend's folder, or `nil`.
    /// - Throws: `HypervisorError` of kind `malformed`, which names the key and its value.
    public init(reading value: (String) -> String?) throws(HypervisorError) {
        self = try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try Self.read(KeyReader(writer: "backend", value: value))
        }
    }

    /// Reads only how many sectors a backend has, as after a resize.
    ///
    /// - Parameter value: As for ``init(reading:)``.
    /// - Returns: How many sectors of 512 bytes.
    /// - Throws: `HypervisorError` of kind `malformed`.
    public static func sectorCount(
        reading value: (String) -> String?
    ) throws(HypervisorError) -> UInt64 {
        try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try KeyReader(writer: "backend", value: value)
                .requiredNumber(DeviceKey.sectors, 0...largestSectorCount)
        }
    }

    private static func read(_ keys: KeyReader) throws(HypervisorError) -> BackendFeatures {
        let size = try sectorSize(DeviceKey.sectorSize, keys, upTo: 4096) ?? 512
        var features = BackendFeatures(
            sectorCount: try keys.requiredNumber(DeviceKey.sectors, 0...largestSectorCount),
            sectorByteCount: size,
            physicalSectorByteCount: try sectorSize(
                DeviceKey.physicalSectorSize, keys, upTo: 1 << 30) ?? size,
            isPersistent: try keys.persistence())
        features.info = Info(rawValue: try keys.number(DeviceKey.info, 0...UInt32.max) ?? 0)
        features.canFlush = try keys.flag(DeviceKey.flush)
        features.canBarrier = try keys.flag(DeviceKey.barrier)
        guard try keys.flag(DeviceKey.discard) else { return features }
        features.discard = Discard(
            granularityByteCount: try keys.number(
                DeviceKey.discardGranularity, 0...UInt32.max) ?? size,
            alignmentByteCount: try keys.number(
                DeviceKey.discardAlignment, 0...UInt32.max) ?? 0,
            isSecure: try keys.flag(DeviceKey.discardSecure))
        return features
    }

    private static func sectorSize(
        _ key: String, _ keys: KeyReader, upTo limit: UInt32
    ) throws(HypervisorError) -> UInt32? {
        guard let size = try keys.number(key, 0...UInt32.max) else { return nil }
        guard size >= 512, size <= limit, size & (size - 1) == 0 else {
            throw keys.refusal(key, "must be a power of two from 512 to \(limit)")
        }
        return size
    }
}
