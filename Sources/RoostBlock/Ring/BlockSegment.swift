internal import RoostHypervisor
internal import RoostMemory

/// A piece of a request's data: a run of sectors inside one granted page
/// (`struct blkif_request_segment` of `io/blkif.h`).
///
///     offset 0  grant reference, 4 bytes
///            4  first sector     5  last sector, itself included     6  two bytes unused
struct BlockSegment: Equatable, Sendable, BitwiseCopyable {
    /// How many sectors of 512 bytes a page has.
    static let sectorsPerPage = 8
    /// How long a segment is in a request and in a page of indirect segments.
    static let byteCount = 8

    /// The grant's number.
    var grant: UInt32
    /// The first sector in the page.
    var firstSector: UInt8
    /// The last one, itself included.
    var lastSector: UInt8

    /// Describes a piece of a page.
    init(grant: GrantReference, firstSector: UInt8, lastSector: UInt8) {
        self.grant = grant.rawValue
        self.firstSector = firstSector
        self.lastSector = lastSector
    }

    /// Reads the two words of a segment.
    init(_ grant: UInt32, _ sectors: UInt32) {
        self.grant = grant
        firstSector = UInt8(truncatingIfNeeded: sectors)
        lastSector = UInt8(truncatingIfNeeded: sectors >> 8)
    }

    /// A segment of zeros.
    static var none: BlockSegment { BlockSegment(0, 0) }

    /// Which grant.
    var reference: GrantReference { GrantReference(rawValue: grant) }

    /// The second word; the unused bytes are zero.
    var sectorWord: UInt32 { UInt32(firstSector) | UInt32(lastSector) << 8 }

    /// Whether it is a run of sectors of a page.
    var isValid: Bool { firstSector <= lastSector && lastSector < Self.sectorsPerPage }

    /// How many sectors; only for a valid one.
    var sectorCount: Int { Int(lastSector) &- Int(firstSector) &+ 1 }

    /// The first byte in the page.
    var pageOffset: Int { Int(firstSector) &* sectorByteCount }

    /// How many bytes; only for a valid one.
    var byteCount: Int { sectorCount &* sectorByteCount }
}

/// A page of indirect segments: 512 of them, as they are in a request.
extension PageWindow {
    /// How many segments a page of them holds.
    static var segmentsPerPage: Int { pageByteCount / BlockSegment.byteCount }

    /// Reads a segment that lies in a shared page; each of its words is read once.
    ///
    /// - Parameter offset: Where it lies, in bytes, a multiple of 8.
    /// - Returns: The segment, unchecked.
    func loadSegment(at offset: Int) -> BlockSegment {
        BlockSegment(loadRelaxed(at: offset), loadRelaxed(at: offset &+ 4))
    }

    /// Writes a segment into a shared page.
    ///
    /// - Parameters:
    ///   - segment: What.
    ///   - offset: Where to, in bytes, a multiple of 8.
    func storeSegment(_ segment: BlockSegment, at offset: Int) {
        storeRelaxed(segment.grant, at: offset)
        storeRelaxed(segment.sectorWord, at: offset &+ 4)
    }
}
