extension DiskGeometry {
    /// A disk of which nothing is known yet: what no disk can do is refused all the same.
    static let unknown = DiskGeometry(sectorCount: UInt64.max / UInt64(sectorByteCount))

    /// Its length in bytes.
    public var byteCount: UInt64 { sectorCount &* UInt64(sectorByteCount) }

    /// Refuses what the disk cannot do.
    ///
    /// - Parameters:
    ///   - operation: What to do.
    ///   - offset: The first byte.
    ///   - byteCount: How many bytes; 0 for a flush.
    /// - Throws: `BlockError` of kind `request`.
    func check(
        _ operation: DiskOperation, offset: UInt64, byteCount: UInt64
    ) throws(BlockError) {
        guard operation != .flush else { return }
        let sector = offset / UInt64(sectorByteCount)
        let unit = UInt64(logicalSectorByteCount)
        guard byteCount > 0, offset % unit == 0, byteCount % unit == 0 else {
            throw BlockError(
                .request, sector: sector,
                "\(byteCount) bytes at byte \(offset) are no whole sectors: give multiples of "
                    + "\(unit), at least one")
        }
        let (end, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow, end <= self.byteCount else {
            throw BlockError(
                .request, sector: sector,
                "\(byteCount) bytes at byte \(offset) pass the end of a disk of "
                    + "\(self.byteCount) bytes: nothing was transferred")
        }
        guard operation == .read || !isReadOnly else {
            throw BlockError(
                .request, sector: sector, "cannot change a disk that is served read-only")
        }
        guard operation != .barrier || byteCount <= UInt64(Self.maximumBarrierByteCount) else {
            throw BlockError(
                .request, sector: sector,
                "a barrier cannot be split and has at most \(Self.maximumBarrierByteCount) bytes: "
                    + "flush, write and flush instead")
        }
    }

    /// The most bytes of a request without indirect segments.
    static let maximumBarrierByteCount = 11 * 4096
}
