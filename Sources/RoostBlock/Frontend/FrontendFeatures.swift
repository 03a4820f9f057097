/// What a connected backend offers, as the frontend found it in the store.
public struct FrontendFeatures: Sendable, Equatable {
    /// The disk.
    public var geometry: DiskGeometry
    /// The most segments of an indirect request; 0 when there are none.
    public var indirectSegmentLimit: Int
    /// Whether flushes are done.
    public var canFlush: Bool
    /// Whether barriers are done.
    public var canWriteBarriers: Bool
    /// Whether sectors can be discarded.
    public var canDiscard: Bool
    /// Whether a discard can be asked to be secure.
    public var canDiscardSecurely: Bool
    /// Whether the backend keeps grants mapped.
    public var isPersistent: Bool

    /// Describes what a backend offers.
    public init(
        geometry: DiskGeometry, indirectSegmentLimit: Int = 0, canFlush: Bool = false,
        canWriteBarriers: Bool = false, canDiscard: Bool = false,
        canDiscardSecurely: Bool = false, isPersistent: Bool = false
    ) {
        self.geometry = geometry
        self.indirectSegmentLimit = indirectSegmentLimit
        self.canFlush = canFlush
        self.canWriteBarriers = canWriteBarriers
        self.canDiscard = canDiscard
        self.canDiscardSecurely = canDiscardSecurely
        self.isPersistent = isPersistent
    }
}
