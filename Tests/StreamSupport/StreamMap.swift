public import RoostMigration
internal import RoostMemory

/// Where the items of a stream lie: what a test edits is found with it.
public struct StreamMap: StreamHandler, Sendable {
    /// A section up to the end of the memory.
    public struct Section: Sendable {
        /// Its head.
        public let header: SectionHeader
        /// Where its head begins.
        public let start: Int
        /// Where its payload begins.
        public let payload: Int
        /// Where its footer would begin.
        public internal(set) var footer = 0
        /// Where the next item begins.
        public internal(set) var end = 0
    }

    /// CONFIGURATION, its first byte counted.
    public private(set) var configuration = 0..<0
    /// The sections up to the end of the memory.
    public private(set) var sections: [Section] = []
    /// The entries of the block list.
    public private(set) var blocks: [(description: RAMBlockDescription, start: Int)] = []
    /// The page records.
    public private(set) var pages: [PageRecord] = []
    /// Where the marks behind the records of a section stand.
    public private(set) var recordEnds: [Int] = []
    /// Where the commands stand.
    public private(set) var commands: [(command: StreamCommand, start: Int)] = []
    /// Where what follows the memory begins.
    public private(set) var tail = 0

    private var position = 0

    /// Maps a whole stream.
    public init(_ bytes: [UInt8]) throws {
        var reader = StreamReader()
        try reader.consume(unsafe bytes.span.bytes, into: &self)
        if tail == 0 { tail = position }
    }

    /// Notes the file header.
    public mutating func streamBegan(version: UInt32) { position = 8 }

    /// Notes CONFIGURATION.
    public mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        self.configuration = position..<position + 1 + bytes.byteCount
        position = self.configuration.upperBound
    }

    /// Notes a section's head.
    public mutating func sectionBegan(_ section: SectionHeader) {
        precondition(section.streamOffset == UInt64(position), "a section that was not foreseen")
        let isNamed = section.kind == .start || section.kind == .full
        let start = position
        position += isNamed ? 14 + section.name.utf8.count : 5
        sections.append(Section(header: section, start: start, payload: position))
    }

    /// Notes the block list.
    public mutating func blocksListed(_ list: [RAMBlockDescription]) {
        position += 8
        for block in list {
            blocks.append((block, position))
            position += 9 + block.name.utf8.count
            if block.backingPageByteCount != nil { position += 8 }
            if block.guestAddress != nil { position += 8 }
        }
    }

    /// Refuses added blocks.
    public mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }

    /// Notes a page.
    public mutating func page(_ record: PageRecord, _ body: RawSpan) {
        precondition(record.streamOffset == UInt64(position), "a record that was not foreseen")
        pages.append(record)
        position += record.byteCount
    }

    /// Passes over the record.
    public mutating func multifdFlushed() { position += 8 }

    /// Notes the mark.
    public mutating func recordsEnded() {
        recordEnds.append(position)
        position += 8
    }

    /// Passes over the bytes.
    public mutating func opaque(_ bytes: RawSpan) { position += bytes.byteCount }

    /// Notes where the section ends.
    public mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        sections[sections.count - 1].footer = position
        position += hasFooter ? 5 : 0
        sections[sections.count - 1].end = position
    }

    /// Notes a command.
    public mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        commands.append((command, position))
        position += 5 + payload.byteCount
    }

    /// Notes where the memory is over.
    public mutating func tail(_ bytes: RawSpan) {
        if tail == 0 { tail = position }
        position += bytes.byteCount
    }
}
