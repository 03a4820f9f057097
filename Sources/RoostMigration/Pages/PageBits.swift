internal import RoostMemory

/// One bit for each page of a region.
///
/// In memory of its own: setting a bit of an array asks each time whether the array is shared.
struct PageBits: ~Copyable, Sendable {
    private var words: MappedRegion

    /// Makes bits that are all off.
    init(pageCount: Int) throws(MemoryError) {
        let pagesOfBits = pageCount / (8 * pageByteCount) + 1
        words = try .anonymous(byteCount: pagesOfBits * pageByteCount)
    }

    /// Whether a page's bit is on.
    func contains(_ page: Int) -> Bool {
        words.bytes.loadBigEndian(at: page >> 3, as: UInt8.self) & 1 << UInt8(page & 7) != 0
    }

    /// The first page of a range whose bit is on, or `nil`.
    func first(in range: Range<Int>) -> Int? {
        let bytes = words.bytes
        var page = range.lowerBound
        while page < range.upperBound {
            // The region is whole pages, so eight bytes are there wherever a bit is.
            if page % 64 == 0, bytes.loadBigEndian(at: page >> 3, as: UInt64.self) == 0 {
                page += 64
            } else if contains(page) {
                return page
            } else {
                page += 1
            }
        }
        return nil
    }

    /// Turns a page's bit on.
    mutating func insert(_ page: Int) {
        let byte = words.bytes.loadBigEndian(at: page >> 3, as: UInt8.self)
        var bytes = words.mutableBytes
        bytes.storeBytes(
            of: byte | 1 << UInt8(page & 7), toByteOffset: page >> 3, as: UInt8.self)
    }
}
