internal import RoostMemory

/// The state machine inside a ``StreamReader``: looks at bytes that lie in one piece and says
/// how many it took, or how many it needs.
struct StreamParser: ~Copyable, Sendable {
    /// The most bytes an item can need in one piece: a command's head and longest payload.
    static let longestItem = 128 << 10

    /// What the next byte belongs to.
    enum State: Equatable {
        case fileHeader
        case firstItem
        case item
        case blockList
        case records
        case footer
        case opaque
        case tail
    }

    let maximumRAMByteCount: UInt64
    var state = State.fileHeader
    var streamOffset: UInt64 = 0
    var configuration: StreamConfiguration?
    var sections = KnownSections()
    var current: SectionHeader?
    /// Whether sections end with a footer; unknown until the first has ended.
    var hasFooters: Bool?
    var blocks = BlockTable()
    /// What the block list still has to account for, and what it announced.
    var unlistedByteCount: UInt64 = 0
    var totalByteCount: UInt64?
    /// While a further list is read: the block it is at, and how many were listed before.
    var relisting: (next: Int, count: Int)?
    /// The block of the last page record, -1 before the first.
    var lastBlock = -1
    /// The backing page sizes that POSTCOPY_ADVISE names, as bits.
    var advisedPageSizes: UInt64 = 0
    /// Whether a part of the memory came after its start.
    var hasPages = false
    var usesMultifd = false
    var deviceTail = DeviceTail()
    /// The sections before the memory, kept in case that no memory follows.
    var early = DeviceTail()

    init(maximumRAMByteCount: UInt64) {
        self.maximumRAMByteCount = min(maximumRAMByteCount, StreamFormat.ramLimit)
    }

    var isPastMemory: Bool { state == .tail }

    /// Whether the stream has ended for certain.
    var hasEnded: Bool { state == .tail && deviceTail.hasEnded }

    /// Where the parser stands, in words.
    var place: String {
        switch state {
        case .fileHeader: "the file header"
        case .firstItem, .item: "the head of an item"
        case .blockList: "the list of RAM blocks"
        case .records: "section ram (id \(current?.id ?? 0))"
        case .footer: "the footer of section \(current?.name ?? "")"
        case .opaque: "section \(current?.name ?? "")"
        case .tail: "the device state"
        }
    }

    /// Takes what it can from the bytes at `position`.
    ///
    /// - Returns: 0 when it took something, else how many bytes from `position` on it needs,
    ///   always more than there are.
    mutating func step<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        guard totalByteCount == nil, state != .tail else {
            return try advance(bytes, at: &position, into: &handler)
        }
        let start = position
        let offset = streamOffset
        let needed = try advance(bytes, at: &position, into: &handler)
        if position > start { try keepEarly(bytes.extracting(start..<position), at: offset) }
        return needed
    }

    private mutating func advance<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        switch state {
        case .records: try records(bytes, at: &position, into: &handler)
        case .blockList: try blockList(bytes, at: &position, into: &handler)
        case .opaque: try opaque(bytes, at: &position, into: &handler)
        case .footer: try footer(bytes, at: &position, into: &handler)
        case .fileHeader: try fileHeader(bytes, at: &position, into: &handler)
        case .firstItem: try firstItem(bytes, at: &position, into: &handler)
        case .item: try item(bytes, at: &position, into: &handler)
        case .tail: try tail(bytes, at: &position, into: &handler)
        }
    }

    mutating func take(_ byteCount: Int, at position: inout Int) {
        position &+= byteCount
        streamOffset &+= UInt64(byteCount)
    }

    private mutating func fileHeader<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        guard bytes.byteCount - position >= 8 else { return 8 }
        let magic = bytes.loadBigEndian(at: position, as: UInt32.self)
        guard magic != StreamFormat.multifdMagic else {
            throw unsupported(
                "this is a multifd channel, which carries pages only: save the guest with the "
                    + "multifd capability off")
        }
        guard magic == StreamFormat.magic else {
            throw malformed(
                "not a migration stream: it begins with 0x\(hex(UInt64(magic))), not with QEVM")
        }
        let version = bytes.loadBigEndian(at: position + 4, as: UInt32.self)
        guard version == StreamFormat.version else {
            throw unsupported(
                "stream version \(version) is not supported: QEMU has written version 3 since "
                    + "2009")
        }
        take(8, at: &position)
        state = .firstItem
        try handler.streamBegan(version: version)
        return 0
    }

    private mutating func item<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let available = bytes.byteCount - position
        guard available > 0 else { return 1 }
        let byte = bytes.loadBigEndian(at: position, as: UInt8.self)
        switch byte {
        case StreamFormat.Item.endOfFile:
            state = .tail
            return 0
        case SectionHeader.Kind.full.rawValue where hasPages:
            // A snapshot taken in the background has no last part of `ram`: devices follow. Those
            // that save early stand before the first part.
            state = .tail
            return 0
        case SectionHeader.Kind.start.rawValue, SectionHeader.Kind.full.rawValue:
            return try sectionStart(bytes, at: &position, into: &handler)
        case SectionHeader.Kind.part.rawValue, SectionHeader.Kind.end.rawValue:
            return try sectionPart(bytes, at: &position, into: &handler)
        case StreamFormat.Item.command:
            return try command(bytes, at: &position, into: &handler)
        case StreamFormat.Item.configuration:
            throw malformed("a second CONFIGURATION: it belongs directly behind the file header")
        default:
            throw malformed("unknown item 0x\(hex(UInt64(byte))): the stream is damaged here")
        }
    }

    private mutating func sectionStart<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let available = bytes.byteCount - position
        guard available >= 6 else { return 6 }
        let kind: SectionHeader.Kind =
            bytes.loadBigEndian(at: position, as: UInt8.self)
                == SectionHeader.Kind.start.rawValue ? .start : .full
        let id = bytes.loadBigEndian(at: position + 1, as: UInt32.self)
        let nameCount = Int(bytes.loadBigEndian(at: position + 5, as: UInt8.self))
        guard nameCount > 0 else { throw malformed("section \(id) has no name") }
        let headCount = 6 + nameCount + 8
        guard available >= headCount else { return headCount }
        let name = String(bytes, from: position + 6, count: nameCount)
        guard bytes.spells(name, from: position + 6, count: nameCount) else {
            throw malformed("the name of section \(id), \(name), is not UTF-8")
        }
        let header = SectionHeader(
            kind: kind, id: id, name: name,
            instance: bytes.loadBigEndian(at: position + 6 + nameCount, as: UInt32.self),
            version: bytes.loadBigEndian(at: position + 10 + nameCount, as: UInt32.self),
            streamOffset: streamOffset)
        guard sections[id] == nil else {
            throw malformed("section id \(id) of \(name) is that of an earlier section")
        }
        guard sections.count < StreamFormat.sectionLimit else {
            throw limit("more than \(StreamFormat.sectionLimit) sections")
        }
        if header.isRAM { try check(ram: header) }
        sections.append(header)
        take(headCount, at: &position)
        current = header
        state = header.isRAM ? .blockList : .opaque
        try handler.sectionBegan(header)
        return 0
    }

    private func check(ram header: SectionHeader) throws(MigrationError) {
        guard header.instance == 0 else {
            throw malformed("section ram has instance \(header.instance): there is only 0")
        }
        guard header.version == StreamFormat.ramVersion else {
            throw unsupported(
                "section ram has version \(header.version): only version 4 is known")
        }
        guard totalByteCount == nil else { throw malformed("section ram begins twice") }
    }

    private mutating func sectionPart<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        guard bytes.byteCount - position >= 5 else { return 5 }
        let kind: SectionHeader.Kind =
            bytes.loadBigEndian(at: position, as: UInt8.self)
                == SectionHeader.Kind.part.rawValue ? .part : .end
        let id = bytes.loadBigEndian(at: position + 1, as: UInt32.self)
        guard let known = sections[id] else {
            throw malformed("a part of section \(id), which has not begun")
        }
        let header = SectionHeader(
            kind: kind, id: id, name: known.name, instance: known.instance,
            version: known.version, streamOffset: streamOffset)
        take(5, at: &position)
        current = header
        hasPages = hasPages || header.isRAM
        state = header.isRAM ? .records : .opaque
        try handler.sectionBegan(header)
        return 0
    }

    private mutating func command<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let available = bytes.byteCount - position
        guard available >= 5 else { return 5 }
        let number = bytes.loadBigEndian(at: position + 1, as: UInt16.self)
        let count = Int(bytes.loadBigEndian(at: position + 3, as: UInt16.self))
        guard let command = StreamCommand(rawValue: number) else {
            throw malformed("unknown command 0x\(hex(UInt64(number))) of length \(count)")
        }
        if let lengths = command.lengths, !lengths.contains(count) {
            throw malformed(
                "command \(command.name) has \(count) bytes, not "
                    + lengths.map(String.init).joined(separator: " or "))
        }
        switch command {
        case .postcopyListen, .postcopyRun, .postcopyDiscard, .packaged, .postcopyResume,
            .receivedBitmap:
            throw unsupported(
                "command \(command.name): the guest went over to postcopy, which this tool does "
                    + "not follow; migrate without migrate-start-postcopy")
        case .enableCOLO:
            throw unsupported("command ENABLE_COLO: COLO replication is not a migration")
        case .openReturnPath, .ping, .postcopyAdvise, .switchoverStart: break
        }
        guard available >= 5 + count else { return 5 + count }
        if command == .postcopyAdvise, count == 16 {
            advisedPageSizes = bytes.loadBigEndian(at: position + 5, as: UInt64.self)
        }
        let payload = bytes.extracting(position + 5..<position + 5 + count)
        try handler.command(command, payload)
        take(5 + count, at: &position)
        return 0
    }

    private mutating func footer<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let available = bytes.byteCount - position
        guard available > 0 else { return 1 }
        guard let section = current else { preconditionFailure("a footer without a section") }
        let isFooter =
            bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.footer
        guard isFooter == hasFooters ?? isFooter else {
            throw malformed(
                "section \(section.name) (id \(section.id)) has "
                    + (isFooter ? "a footer, and earlier sections had none" : "no footer"))
        }
        if isFooter {
            guard available >= 5 else { return 5 }
            let id = bytes.loadBigEndian(at: position + 1, as: UInt32.self)
            guard id == section.id else {
                throw malformed(
                    "the footer of section \(section.name) has id \(id), not \(section.id)")
            }
            take(5, at: &position)
        }
        hasFooters = isFooter
        try handler.sectionEnded(section, hasFooter: isFooter)
        current = nil
        state = section.isRAM && section.kind == .end ? .tail : .item
        return 0
    }

    private mutating func tail<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let rest = bytes.extracting(position..<bytes.byteCount)
        guard rest.byteCount > 0 else { return 1 }
        deviceTail.begin(at: streamOffset, hasFooters: hasFooters, sections: sections)
        let count = try deviceTail.append(rest)
        take(rest.byteCount, at: &position)
        if count > 0 { try handler.tail(rest.extracting(0..<count)) }
        return 0
    }

    mutating func skip(_ byteCount: UInt64) { deviceTail.skip(byteCount) }

    /// Whether the tail is whole as it stands.
    mutating func isTailWhole() -> Bool { deviceTail.isWhole() }

    /// Whether the tail ends with a description.
    var hasDescription: Bool { deviceTail.isDescribed }

    /// Checks what followed the memory, at the end of the stream.
    consuming func finish() throws(MigrationError) -> DeviceTail {
        deviceTail.begin(at: streamOffset, hasFooters: hasFooters, sections: sections)
        try deviceTail.walk()
        if let size = deviceTail.description?.pageSize, size != pageByteCount {
            throw unsupported(Self.pageSizeText(size))
        }
        return deviceTail
    }

    // MARK: Errors

    /// Why a target with other pages is refused.
    static func pageSizeText(_ byteCount: Int) -> String {
        "the target has pages of \(byteCount) bytes: only targets with pages of \(pageByteCount) bytes "
            + "are handled"
    }

    // Texts are made in here, so that what reads pages counts no references.
    @inline(never)
    func malformed(
        _ what: @autoclosure () -> String, block: Int? = nil, blockOffset: UInt64? = nil
    ) -> MigrationError {
        failure(.malformed, what(), block: block, blockOffset: blockOffset)
    }

    /// An error about a block of this name, which is not in the list.
    func malformed(_ what: String, named name: String) -> MigrationError {
        MigrationError(
            .malformed, block: name, streamOffset: streamOffset,
            "at stream offset \(streamOffset): \(what)")
    }

    func unsupported(_ what: String) -> MigrationError { failure(.unsupported, what) }

    func limit(_ what: String) -> MigrationError { failure(.limit, what) }

    private func failure(
        _ kind: MigrationError.Kind, _ what: String, block: Int? = nil,
        blockOffset: UInt64? = nil
    ) -> MigrationError {
        let name = block.map { blocks.descriptions[$0].name }
        var place = "at stream offset \(streamOffset)"
        if let name { place += ", block \(name)" }
        if let blockOffset { place += " offset 0x\(hex(blockOffset))" }
        return MigrationError(
            kind, block: name, blockOffset: blockOffset, streamOffset: streamOffset,
            "\(place): \(what)")
    }
}

/// A number in hexadecimal, without a prefix.
func hex(_ value: UInt64) -> String { String(value, radix: 16) }

/// A number of bytes as a command line takes it, rounded up: whole GiB, or MiB below one.
func sizeText(_ byteCount: UInt64) -> String {
    let (unit, shift): (String, UInt64) = byteCount > 1 << 30 ? ("G", 30) : ("M", 20)
    return "\((byteCount >> shift) + (byteCount & (1 << shift - 1) == 0 ? 0 : 1))\(unit)"
}
