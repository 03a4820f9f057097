public import RoostMigration

/// A recorded stream in the hands of a test: its bytes, and where they were before any edit.
///
/// Places come from the map of the unedited stream, so an edit that moves bytes comes after those
/// that stand before it in the stream, or the last first.
public struct StreamEdit: Sendable {
    /// The bytes as they are now.
    public var bytes: [UInt8]
    /// Where the items of the recording lie.
    public let map: StreamMap

    /// Takes a recording.
    public init(_ name: String) throws {
        bytes = try StreamFixtures.bytes(name)
        map = try StreamMap(bytes)
    }

    /// Puts bytes in the place of as many others.
    public mutating func overwrite(_ start: Int, _ new: [UInt8]) {
        bytes.replaceSubrange(start..<start + new.count, with: new)
    }

    /// Puts bytes in the place of others.
    public mutating func replace(_ range: Range<Int>, _ new: [UInt8]) {
        bytes.replaceSubrange(range, with: new)
    }

    /// Puts bytes between others.
    public mutating func insert(_ new: [UInt8], at start: Int) {
        bytes.insert(contentsOf: new, at: start)
    }

    /// Cuts the stream short.
    public mutating func cut(at end: Int) {
        bytes.removeSubrange(end...)
    }

    /// An integer as the stream has it, most significant byte first.
    public static func integer<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        (0..<MemoryLayout<Value>.size).reversed().map {
            UInt8(truncatingIfNeeded: value >> Value(8 * $0))
        }
    }

    /// A text behind its length.
    public static func counted(_ text: String) -> [UInt8] {
        [UInt8(truncatingIfNeeded: text.utf8.count)] + Array(text.utf8)
    }

    /// A record's word, and the block's name where one is given.
    public static func record(
        _ flags: UInt64, offset: UInt64 = 0, block: String? = nil, _ body: [UInt8] = []
    ) -> [UInt8] {
        integer(offset | flags) + (block.map(counted) ?? []) + body
    }

    // MARK: Places

    /// The first record of a kind.
    public func first(_ kind: PageKind) -> PageRecord {
        guard let record = map.pages.first(where: { $0.kind == kind }) else {
            preconditionFailure("no record of kind \(kind) in this recording")
        }
        return record
    }

    /// Where the first part of the memory begins to have records.
    public var firstRecords: Int { section(.part).payload }

    /// Puts a part of the memory that has these records and no others in front of the first part.
    ///
    /// QEMU inflates compressed pages with threads of its own and waits for them where a section
    /// ends. A page that comes again in the same section is written while a thread may still
    /// inflate into it: the thread then reads back what it did not write, and finds its checksum
    /// wrong.
    public mutating func insertPart(_ records: [UInt8]) {
        let first = section(.part)
        let head = Array(bytes[first.start..<first.payload])
        let footer = Array(bytes[first.footer..<first.end])
        insert(head + records + Self.record(0x10) + footer, at: first.start)
    }

    /// Where the word with the announced total stands.
    public var total: Int { section(.start).payload }

    /// The first section of the memory of a kind.
    public func section(_ kind: SectionHeader.Kind) -> StreamMap.Section {
        guard let found = map.sections.first(where: { $0.header.kind == kind && $0.header.isRAM })
        else { preconditionFailure("no section of kind \(kind) in this recording") }
        return found
    }

    /// An entry of the block list.
    public func block(_ name: String) -> (description: RAMBlockDescription, start: Int) {
        guard let found = map.blocks.first(where: { $0.description.name == name }) else {
            preconditionFailure("no block \(name) in this recording")
        }
        return found
    }

    /// Where a record's body begins.
    public func body(of record: PageRecord, count: Int) -> Int {
        Int(record.streamOffset) + record.byteCount - count
    }

    /// Adds to the announced total.
    public mutating func addToTotal(_ count: Int64) {
        let word = bytes[total..<total + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        overwrite(total, Self.integer(UInt64(bitPattern: Int64(bitPattern: word) + count)))
    }

    /// Gives a block of the list another length, and the total with it.
    public mutating func setByteCount(_ byteCount: UInt64, of name: String) {
        let entry = block(name)
        let place = entry.start + 1 + name.utf8.count
        overwrite(place, Self.integer(byteCount))
        addToTotal(Int64(byteCount) - Int64(entry.description.usedByteCount))
    }
}
