/// What a connected backend offers, as the frontend found it in the store.
public struct FrontendFeatures: Sendable, Equatable {
    /// The disk, with whether it is flushed and discarded.
    public var geometry: DiskGeometry
    /// The most segments of an indirect request; 0 when there are none.
    public var indirectSegmentLimit: Int
    /// Whether barriers are done.
    public var canWriteBarriers: Bool
    /// Whether a discard can be asked to be secure.
    public var canDiscardSecurely: Bool
    /// Whether the backend keeps grants mapped.
    public var isPersistent: Bool

    /// Describes what a backend offers.
    public init(
        geometry: DiskGeometry, indirectSegmentLimit: Int = 0, canWriteBarriers: Bool = false,
        canDiscardSecurely: Bool = false, isPersistent: Bool = false
    ) {
        self.geometry = geometry
        self.indirectSegmentLimit = indirectSegmentLimit
        self.canWriteBarriers = canWriteBarriers
        self.canDiscardSecurely = canDiscardSecurely
        self.isPersistent = isPersistent
    }
}
