internal import RoostMemory

/// A section of a stream that carries a device's state.
public struct DeviceSection: Sendable, Equatable {
    /// The section's head.
    public let header: SectionHeader
    /// The length of its payload in bytes.
    public let byteCount: Int
}

/// What follows the memory in a stream: the devices, the end of the file, the description.
///
/// Device payloads carry no length. The description behind them gives it; without one, a payload
/// ends at a footer with its section's number that a plausible item follows.
public struct DeviceTail: ~Copyable, Sendable {
    /// The device sections, in the order of the stream.
    public private(set) var sections: [DeviceSection] = []
    /// The stream's description of its devices, where it has one.
    public private(set) var description: StreamDescription?
    /// The length in bytes of the description's text.
    public private(set) var descriptionByteCount = 0
    /// Where in the stream the tail begins, in bytes.
    public private(set) var streamOffset: UInt64 = 0
    /// How many bytes lie behind the end of the stream, kept or only counted; QEMU ignores them.
    public var trailingByteCount: Int { Int(clamping: totalByteCount - UInt64(endPosition)) }

    /// Whether the stream has ended for certain, so that what follows is counted and not kept.
    private(set) var hasEnded = false
    /// Where in what is kept the stream ends, once it has been walked.
    private var endPosition = 0
    /// How many bytes came in all.
    private var totalByteCount: UInt64 = 0
    /// The same walked as it comes: says at any time whether it is whole, and all there is to say of a
    /// tail of which too much came to be kept.
    private var along = TailWalk(KnownSections())
    private var isKept = true
    /// Looks for descriptions, and how many that were none can still be tried.
    private var search = DescriptionSearch()
    private var tries = StreamFormat.descriptionTries
    /// How much is kept when the end is looked for next in a stream without a description.
    private var nextWalk = StreamFormat.paddingWalk

    private var kept = ByteQueue(capacity: 64 << 10)
    private var begun = false
    private var hasFooters = true
    /// The sections that began before the tail, and those of the tail itself while it is walked.
    private var earlier = KnownSections()
    private var known = KnownSections()

    init() {}

    /// The length in bytes of all that followed the memory.
    public var byteCount: Int { Int(clamping: totalByteCount) }

    /// The length in bytes of the whole stream, without what lies behind its end.
    public var streamByteCount: UInt64 { streamOffset + UInt64(endPosition) }

    /// Lends what followed the memory, up to the end of the stream.
    ///
    /// - Throws: `MigrationError` of kind `limit` when too much followed to be kept, or what `body`
    ///   throws.
    func withStreamBytes(
        _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard isKept else {
            throw MigrationError(
                .limit, streamOffset: streamOffset,
                "\(sizeText(totalByteCount)) of device state follow the memory, and at most "
                    + "\(sizeText(UInt64(StreamFormat.tailLimit))) can be kept: use the stream as it is"
            )
        }
        try body(kept.bytes.extracting(0..<endPosition))
    }

    /// Whether what follows is the tail's.
    var hasBegun: Bool { begun }

    mutating func begin(
        at offset: UInt64, hasFooters: Bool?, sections: KnownSections
    ) {
        guard !begun else { return }
        begun = true
        streamOffset = offset
        self.hasFooters = hasFooters ?? true
        earlier = sections
        along = TailWalk(sections)
    }

    /// Whether what has come makes a whole stream as it stands; cheap.
    mutating func isWhole() -> Bool {
        guard hasFooters else {
            // Only old machine types have none, and only a description tells where such a tail ends.
            return hasEnded || (kept.count < StreamFormat.paddingWalk && (try? walk()) != nil)
        }
        return hasEnded || along.isWhole
    }

    /// Whether the stream ends with a description, as far as it has come.
    var isDescribed: Bool {
        descriptionByteCount > 0 || along.descriptionByteCount > 0
    }

    /// Takes what comes next.
    ///
    /// - Returns: How many of the bytes are the stream's, as far as can be told yet.
    /// - Throws: `MigrationError` of kind `limit`.
    mutating func append(_ bytes: RawSpan) throws(MigrationError) -> Int {
        let before = totalByteCount
        totalByteCount += UInt64(bytes.byteCount)
        guard !hasEnded else { return 0 }
        if hasFooters { along.append(bytes) }
        if isKept { try keep(bytes) }
        if isKept {
            findEnd()
        } else if along.hasEnded, let end = along.endOffset {
            hasEnded = true
            endPosition = Int(clamping: end)
        }
        return hasEnded ? Int(clamping: max(before, UInt64(endPosition)) - before) : bytes.byteCount
    }

    /// Counts bytes behind the end of the stream.
    mutating func skip(_ byteCount: UInt64) {
        totalByteCount = totalByteCount.addingReportingOverflow(byteCount).partialValue
    }

    private mutating func keep(_ bytes: RawSpan) throws(MigrationError) {
        guard bytes.byteCount <= StreamFormat.tailLimit - kept.count else {
            guard hasFooters else {
                throw MigrationError(
                    .limit, streamOffset: streamOffset,
                    "more than \(StreamFormat.tailLimit) bytes follow the memory in a stream without "
                        + "footers, where only its description tells what they are: the stream is damaged, "
                        + "or of no machine that is known")
            }
            // From here on what was walked alongside is all that is known.
            isKept = false
            kept = ByteQueue(capacity: 1)
            return
        }
        if bytes.byteCount > kept.room {
            let wanted = 2 * (kept.count + bytes.byteCount)
            var larger = ByteQueue(capacity: min(wanted, StreamFormat.tailLimit))
            larger.append(kept.bytes)
            kept = larger
        }
        kept.append(bytes)
    }

    /// Looks whether the stream has ended: with a description to which all before it fits, or,
    /// without one, with sections and a mark behind which nothing of the kind came for long.
    private mutating func findEnd() {
        while tries > 0, Self.next(of: &search, in: kept) != nil {
            tries -= 1
            guard (try? walk()) != nil, descriptionByteCount > 0 else { continue }
            hasEnded = true
            return
        }
        findPaddedEnd()
    }

    private static func next(
        of search: inout DescriptionSearch, in kept: borrowing ByteQueue
    ) -> Range<Int>? {
        search.next(in: kept.bytes)
    }

    private mutating func findPaddedEnd() {
        guard kept.count >= nextWalk else { return }
        nextWalk = 2 * kept.count
        guard (try? walk()) != nil else { return }
        hasEnded = kept.count - endPosition >= StreamFormat.paddingWalk / 2
    }

    /// Finds the description and walks the sections up to the end of the file.
    ///
    /// - Throws: `MigrationError` of kind `truncated` where the tail ends too early, `malformed`
    ///   where something else than an item stands.
    mutating func walk() throws(MigrationError) {
        guard isKept else { return try takeAlong() }
        sections = []
        known = earlier
        endPosition = kept.count
        let end = findDescription() ?? kept.count
        // Devices that saved before the memory are the first that the description lists.
        var device = known.fullCount
        var position = 0
        while true {
            let item = try itemByte(at: position, before: end)
            switch item {
            case StreamFormat.Item.endOfFile:
                return try endStream(at: position + 1)
            case StreamFormat.Item.command:
                position = try afterCommand(at: position, before: end)
            case SectionHeader.Kind.start.rawValue, SectionHeader.Kind.full.rawValue,
                SectionHeader.Kind.part.rawValue, SectionHeader.Kind.end.rawValue:
                position = try afterSection(at: position, before: end, device: &device)
            default:
                throw fault(.malformed, at: position, "unknown item 0x\(hex(UInt64(item)))")
            }
        }
    }

    /// Takes what was found while the tail came, where too much came to be kept.
    private mutating func takeAlong() throws(MigrationError) {
        if let reason = along.finish() {
            throw MigrationError(
                .truncated, streamOffset: streamOffset + totalByteCount,
                "at stream offset \(streamOffset + totalByteCount): \(reason)")
        }
        sections = along.sections.map { section in
            let header = section.header
            return DeviceSection(
                header: SectionHeader(
                    kind: header.kind, id: header.id, name: header.name, instance: header.instance,
                    version: header.version, streamOffset: streamOffset + header.streamOffset),
                byteCount: section.byteCount)
        }
        description = along.description
        descriptionByteCount = along.descriptionByteCount
        endPosition = Int(clamping: along.endOffset ?? totalByteCount)
    }

    /// Tells what stands behind the end-of-file mark: the description, other bytes, or nothing.
    private mutating func endStream(at end: Int) throws(MigrationError) {
        endPosition = end
        guard end < kept.count,
            kept.bytes.loadBigEndian(at: end, as: UInt8.self) == StreamFormat.Item.description
        else {
            // What looked like a description stands elsewhere, so it describes something else.
            description = nil
            descriptionByteCount = 0
            return
        }
        var cursor = SpanCursor(kept.bytes, at: end + 1)
        guard let count = cursor.read(UInt32.self), cursor.skip(Int(count)) != nil else {
            throw fault(
                .truncated, at: end,
                "the stream ends inside the description of its devices: it was cut short")
        }
        endPosition = cursor.position
    }

    private func itemByte(at position: Int, before end: Int) throws(MigrationError) -> UInt8 {
        guard position < end else {
            throw fault(
                .truncated, at: position,
                "the stream ends before its end-of-file mark: it was cut short, save or send it "
                    + "again")
        }
        return kept.bytes.loadBigEndian(at: position, as: UInt8.self)
    }

    private func afterCommand(at position: Int, before end: Int) throws(MigrationError) -> Int {
        var cursor = SpanCursor(kept.bytes.extracting(0..<end), at: position + 3)
        guard let count = cursor.read(UInt16.self), cursor.skip(Int(count)) != nil else {
            throw fault(.truncated, at: position, "the stream ends inside a command")
        }
        return cursor.position
    }

    /// Passes over a section and notes it; `device` counts the description's entries used.
    private mutating func afterSection(
        at position: Int, before end: Int, device: inout Int
    ) throws(MigrationError) -> Int {
        let header: SectionHeader
        var payload: Int
        do {
            let bytes = kept.bytes.extracting(0..<end)
            var cursor = SpanCursor(bytes, at: position)
            guard let found = Self.header(&cursor, at: streamOffset + UInt64(position), known)
            else {
                throw fault(
                    cursor.needed > end ? .truncated : .malformed, at: position,
                    cursor.needed > end
                        ? "the stream ends inside the head of a section"
                        : "a part of a section that has not begun")
            }
            header = found
            payload = cursor.position
        }
        guard sections.count < StreamFormat.sectionLimit else {
            throw fault(.limit, at: position, "more than \(StreamFormat.sectionLimit) sections")
        }
        if header.kind == .full || header.kind == .start { known.append(header) }
        var length: Int?
        if header.kind == .full, let description {
            let entry = device < description.devices.count ? description.devices[device] : nil
            guard let entry, entry.name == header.name, entry.instance == header.instance else {
                throw fault(
                    .malformed, at: position,
                    "section \(header.name) is not what the stream's description lists here")
            }
            device += 1
            length = entry.byteCount
        }
        let after = try afterPayload(of: header, from: payload, length: &length, before: end)
        payload = after - payload
        sections.append(DeviceSection(header: header, byteCount: length ?? payload))
        return after
    }

    private static func header(
        _ cursor: inout SpanCursor, at offset: UInt64, _ known: KnownSections
    ) -> SectionHeader? {
        guard let item = cursor.read(UInt8.self), let kind = SectionHeader.Kind(rawValue: item),
            let id = cursor.read(UInt32.self)
        else { return nil }
        if kind == .part || kind == .end {
            guard let begun = known[id] else { return nil }
            return SectionHeader(
                kind: kind, id: id, name: begun.name, instance: begun.instance,
                version: begun.version, streamOffset: offset)
        }
        guard let count = cursor.read(UInt8.self), let name = cursor.readText(Int(count)),
            let instance = cursor.read(UInt32.self), let version = cursor.read(UInt32.self)
        else { return nil }
        return SectionHeader(
            kind: kind, id: id, name: name, instance: instance, version: version,
            streamOffset: offset)
    }

    /// Where the item after a section begins; `length` becomes the payload's.
    private func afterPayload(
        of header: SectionHeader, from start: Int, length: inout Int?, before end: Int
    ) throws(MigrationError) -> Int {
        if let described = length {
            let (footer, overflow) = start.addingReportingOverflow(described)
            if !overflow, footer <= end {
                guard hasFooters else { return footer }
                var cursor = SpanCursor(kept.bytes.extracting(0..<end), at: footer)
                if cursor.read(UInt8.self) == StreamFormat.Item.footer,
                    cursor.read(UInt32.self) == header.id
                {
                    return cursor.position
                }
            }
        }
        // Before 10.0 QEMU described arrays with holes wrongly, so a footer elsewhere counts.
        guard hasFooters else {
            throw fault(
                .unsupported, at: start,
                "where section \(header.name) ends cannot be known: the stream has neither "
                    + "footers nor a fitting description")
        }
        // The mark of the description is looked at behind the end-of-file mark.
        let limit = descriptionByteCount > 0 ? end + 1 : end
        let payload = OpaquePayload(id: header.id, sections: known)
        guard let footer = payload.findEnd(inRest: kept.bytes.extracting(0..<limit), from: start)
        else {
            throw fault(
                .truncated, at: start,
                "the stream ends inside section \(header.name), or its footer is missing")
        }
        length = footer - start
        return footer + 5
    }

    /// Finds `00 │ 06 │ be32 length │ {…}` and decodes it.
    ///
    /// - Returns: Where its item byte stands, just behind the end-of-file mark.
    private mutating func findDescription() -> Int? {
        description = nil
        descriptionByteCount = 0
        var search = DescriptionSearch()
        for _ in 0..<StreamFormat.descriptionTries {
            guard let text = search.next(in: kept.bytes) else { break }
            if let found = StreamDescription(json: [UInt8](kept.bytes.extracting(text))) {
                description = found
                descriptionByteCount = text.count
                return text.lowerBound - 5
            }
        }
        return nil
    }

    private func fault(
        _ kind: MigrationError.Kind, at position: Int, _ what: String
    ) -> MigrationError {
        let offset = streamOffset + UInt64(position)
        return MigrationError(
            kind, streamOffset: offset, "at stream offset \(offset): \(what)")
    }
}
