internal import RoostMemory
internal import SystemPackage

/// A segment of another domain's grants, with its table mapped.
final class GrantSegment: Sendable {
    let serial: UInt32
    let references: Range<UInt32>
    private let file: PassedDescriptor
    private let pages: Range<Int>
    private let cache: SegmentCache
    private let tablePageCount: Int

    init(
        serial: UInt32, references: Range<UInt32>, file: PassedDescriptor, pages: Range<Int>,
        tablePageCount: Int, cache: SegmentCache
    ) {
        self.serial = serial
        self.references = references
        self.file = file
        self.pages = pages
        self.tablePageCount = tablePageCount
        self.cache = cache
    }

    /// The segment as the data plane's plain values, good as long as the segment is held.
    var record: GrantSegmentRecord {
        GrantSegmentRecord(
            firstReference: references.lowerBound, pageCount: UInt32(references.count),
            tableOffset: pages.lowerBound * pageByteCount,
            pinOffset: (pages.lowerBound + tablePageCount) * pageByteCount,
            dataPage: Int32(tablePageCount), descriptor: file.descriptor.rawValue)
    }

    deinit {
        cache.forget(serial, pages)
    }
}
