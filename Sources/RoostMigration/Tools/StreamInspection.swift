internal import RoostMemory

/// What is to be known of a stream without loading it: sections, blocks, pages, rounds.
///
/// Feed it a whole stream as the handler of a ``StreamReader``, then read its properties. It
/// keeps four bytes for each page near one that the stream names, so memory that is announced
/// and never sent costs nothing.
public struct StreamInspection: StreamHandler {
    /// A section of the stream with its lengths.
    public struct Section: Sendable, Encodable {
        /// The handler's name.
        public let name: String
        /// Which of several of that name.
        public let instance: UInt32
        /// `start`, `part`, `end` or `full`.
        public let kind: String
        /// The number by which parts are matched.
        public let id: UInt32
        /// The version of the payload's layout.
        public let version: UInt32
        /// Where it begins in the stream, in bytes.
        public let offset: UInt64
        /// The length in bytes from its head to its footer, both counted.
        public internal(set) var byteCount: UInt64
    }

    /// How many pages of one kind there are, and how many bytes their records take.
    public struct Tally: Sendable, Encodable {
        /// Records.
        public internal(set) var pages: UInt64 = 0
        /// Bytes of the records, heads counted.
        public internal(set) var bytes: UInt64 = 0
    }

    /// What the stream holds of one RAM block.
    public struct Block: Sendable, Encodable {
        /// The block's id.
        public let name: String
        /// The length in use, in bytes.
        public let byteCount: UInt64
        /// Records that fill a page with one byte.
        public internal(set) var zero = Tally()
        /// Records of whole pages.
        public internal(set) var plain = Tally()
        /// XBZRLE records.
        public internal(set) var xbzrle = Tally()
        /// zlib records.
        public internal(set) var compressed = Tally()
        /// How many different pages the stream names.
        public internal(set) var pagesNamed: UInt64 = 0
        /// How many pages it names more than once.
        public internal(set) var pagesSentAgain: UInt64 = 0

        mutating func count(_ record: PageRecord) {
            switch record.kind {
            case .zero: add(record, to: &zero)
            case .plain: add(record, to: &plain)
            case .delta: add(record, to: &xbzrle)
            case .compressed: add(record, to: &compressed)
            }
        }

        private func add(_ record: PageRecord, to tally: inout Tally) {
            tally.pages += 1
            tally.bytes += UInt64(record.byteCount)
        }
    }

    /// The file header's version.
    public private(set) var version: UInt32 = 0
    /// What the stream says of its machine, absent for machine types up to 2.3.
    public private(set) var configuration: StreamConfiguration?
    /// The sections up to the end of the memory; devices that follow are added by ``finish(_:)``.
    public private(set) var sections: [Section] = []
    /// The commands, by name.
    public private(set) var commands: [String] = []
    /// The RAM blocks.
    public private(set) var blocks: [Block] = []
    /// How often the source went over the memory: a page already sent in a round begins another.
    public private(set) var rounds = 0
    /// Whether footers end the sections, once one has ended.
    public private(set) var hasFooters: Bool?
    /// Whether pages travel on multifd channels beside this stream.
    public private(set) var usesMultifd = false

    /// Whether the stream lists memory and has no record of any page of it: they travelled beside it
    /// (multifd), or were left where they are (`x-ignore-shared`).
    public var lacksPages: Bool {
        memoryByteCount > 0 && blocks.allSatisfy { $0.pagesNamed == 0 }
    }

    /// The lengths in use of all blocks, in bytes.
    var memoryByteCount: UInt64 { blocks.reduce(0) { $0 + $1.byteCount } }

    /// For each block what is kept of its pages.
    private(set) var pages: [PageStates] = []

    /// Makes an inspection of a stream yet to be read.
    public init() {}

    // MARK: StreamHandler

    /// Notes the version of the file header.
    public mutating func streamBegan(version: UInt32) { self.version = version }

    /// Notes what the stream says of its machine.
    public mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        self.configuration = configuration
    }

    /// Adds the section to ``sections``, its head counted.
    public mutating func sectionBegan(_ section: SectionHeader) {
        let hasName = section.kind == .start || section.kind == .full
        sections.append(
            Section(
                name: section.name, instance: section.instance, kind: "\(section.kind)",
                id: section.id, version: section.version, offset: section.streamOffset,
                byteCount: UInt64(hasName ? 14 + section.name.utf8.count : 5)))
    }

    /// Makes room for the counts of each block; called once, before any page.
    public mutating func blocksListed(_ list: [RAMBlockDescription]) {
        takeBlocks(list[...])
        growByList(list)
    }

    /// Makes room for the counts of blocks that were added while the guest moved.
    public mutating func blocksAdded(_ list: [RAMBlockDescription], from first: Int) {
        takeBlocks(list[first...])
        growByList(list)
    }

    private mutating func takeBlocks(_ added: ArraySlice<RAMBlockDescription>) {
        blocks += added.map { Block(name: $0.name, byteCount: $0.usedByteCount) }
        pages += added.map { PageStates(count: Int($0.usedByteCount) / pageByteCount) }
    }

    private mutating func growByList(_ list: [RAMBlockDescription]) {
        let extra = list.reduce(8) { sum, block in
            sum + 9 + block.name.utf8.count + (block.backingPageByteCount == nil ? 0 : 8)
                + (block.guestAddress == nil ? 0 : 8)
        }
        grow(by: extra)
    }

    /// Counts a page's record; the cost does not depend on the stream's length.
    public mutating func page(_ record: PageRecord, _ body: RawSpan) {
        blocks[record.block].count(record)
        grow(by: record.byteCount)
        let kind = record.kind.rawValue
        var rounds = rounds
        var timesSent: UInt8 = 0
        pages[record.block].update(Int(record.offset) / pageByteCount) { page in
            timesSent = page.timesSent
            // Rounds that do not fit their 16 bits are counted as one: years of a live migration.
            let isNewRound = rounds == 0 || timesSent > 0 && Int(page.lastRound) == rounds
            if isNewRound, rounds < UInt16.max { rounds += 1 }
            page.timesSent = timesSent == .max ? .max : timesSent + 1
            page.lastRound = UInt16(truncatingIfNeeded: rounds)
            page.lastKind = kind
        }
        self.rounds = rounds
        if timesSent == 0 { blocks[record.block].pagesNamed += 1 }
        if timesSent == 1 { blocks[record.block].pagesSentAgain += 1 }
    }

    /// Notes that pages travel on other channels.
    public mutating func multifdFlushed() {
        usesMultifd = true
        grow(by: 8)
    }

    /// Counts the mark behind a section's records.
    public mutating func recordsEnded() { grow(by: 8) }

    /// Counts the piece as part of the section that was begun last.
    public mutating func opaque(_ bytes: RawSpan) { grow(by: bytes.byteCount) }

    /// Counts the footer, where there is one.
    public mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        hasFooters = hasFooter
        if hasFooter { grow(by: 5) }
    }

    /// Adds the command's name to ``commands``.
    public mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        commands.append(command.name)
    }

    /// Does nothing: ``finish(_:)`` adds the devices, with their lengths.
    public mutating func tail(_ bytes: RawSpan) {}

    private mutating func grow(by byteCount: Int) {
        if !sections.isEmpty { sections[sections.count - 1].byteCount += UInt64(byteCount) }
    }

    /// Adds the devices behind the memory.
    ///
    /// - Parameter tail: What the reader found there.
    public mutating func finish(_ tail: borrowing DeviceTail) {
        // Of a stream without memory the tail is all there is, and was told as it came too.
        sections.removeAll { $0.offset >= tail.streamOffset }
        for device in tail.sections {
            sectionBegan(device.header)
            grow(by: device.byteCount + (hasFooters ?? true ? 5 : 0))
        }
    }
}
