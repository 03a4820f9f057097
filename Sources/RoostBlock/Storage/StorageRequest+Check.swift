internal import SystemPackage

extension StorageRequest {
    /// Why a disk cannot do this, or `nil`: the storage's own check, so that a mistake of its user
    /// costs one request (BLK-21: one that crosses the end fails whole).
    ///
    /// - Parameters:
    ///   - segments: The request's pieces.
    ///   - geometry: What the disk is.
    /// - Returns: `EINVAL` for a request that is none, `EROFS` for one that would change a
    ///   read-only disk, `EOPNOTSUPP` for what the disk does not offer.
    internal func refusal(
        segments: Span<StorageSegment>, on geometry: DiskGeometry
    ) -> Errno? {
        if operation == .flush { return nil }
        let (end, overflow) = sector.addingReportingOverflow(sectorCount)
        guard sectorCount > 0, !overflow, end <= geometry.sectorCount else {
            return .invalidArgument
        }
        let unit = UInt64(geometry.logicalSectorByteCount / sectorByteCount)
        guard unit <= 1 || (sector % unit == 0 && sectorCount % unit == 0) else {
            return .invalidArgument
        }
        guard operation == .read || !geometry.isReadOnly else { return .readOnlyFileSystem }
        if operation == .discard {
            return geometry.canDiscard ? nil : .notSupported
        }
        var byteCount: UInt64 = 0
        for index in segments.indices {
            let count = segments[index].byteCount
            guard count > 0, count % sectorByteCount == 0 else { return .invalidArgument }
            byteCount &+= UInt64(count)
        }
        let sectors = byteCount / UInt64(sectorByteCount)
        return sectors == sectorCount ? nil : .invalidArgument
    }
}
