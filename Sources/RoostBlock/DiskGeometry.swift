/// The unit in which requests count, in bytes: always 512, whatever the disk's own sectors are.
public let sectorByteCount = 512

/// What a disk is: how large, in which units, and what can be done with it.
public struct DiskGeometry: Equatable, Sendable {
    /// How many sectors of 512 bytes it has.
    public var sectorCount: UInt64
    /// The bytes that a request's place and length are multiples of: 512 or 4,096.
    public var logicalSectorByteCount: Int
    /// The bytes that the medium writes at once, at least the logical sector.
    public var physicalSectorByteCount: Int
    /// Whether nothing can be written.
    public var isReadOnly: Bool
    /// Whether there is a volatile cache, which a flush makes durable.
    public var canFlush: Bool
    /// Whether sectors can be discarded.
    public var canDiscard: Bool

    /// Describes a disk.
    public init(
        sectorCount: UInt64, logicalSectorByteCount: Int = 512,
        physicalSectorByteCount: Int = 4096, isReadOnly: Bool = false, canFlush: Bool = true,
        canDiscard: Bool = true
    ) {
        self.sectorCount = sectorCount
        self.logicalSectorByteCount = logicalSectorByteCount
        self.physicalSectorByteCount = physicalSectorByteCount
        self.isReadOnly = isReadOnly
        self.canFlush = canFlush
        self.canDiscard = canDiscard
    }
}
