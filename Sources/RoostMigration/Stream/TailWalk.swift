internal import RoostMemory

/// Walks what follows the memory as it comes: each byte is looked at once, and no payload is kept.
///
/// Payloads carry no length. One ends where a footer with its section's number is followed by the head
/// of a plausible item; the end-of-file mark by being the last byte at hand, or by the description
/// behind it. Where neither comes, the first mark behind a footer counts.
///
/// Owned by one thread.
struct TailWalk: ~Copyable, Sendable {
    /// What the next byte belongs to.
    private enum State {
        case item
        case payload(SectionHeader, start: UInt64)
        /// The end-of-file mark was the last.
        case mark
        /// So many bytes of the description are still to come.
        case description(Int)
        /// Behind the end.
        case ended
        /// No item stands where one should.
        case lost
    }

    /// The device sections so far.
    private(set) var sections: [DeviceSection] = []
    /// The stream's description, where it has one.
    private(set) var description: StreamDescription?
    private(set) var descriptionByteCount = 0
    /// How many bytes of the tail the stream has, as far as it has ended.
    private(set) var endOffset: UInt64?

    private var state = State.item
    private var known = KnownSections()
    /// What decides about what comes, at most one unfinished item, and where in the tail it begins.
    private var rest = ByteQueue(capacity: pieceLimit + StreamParser.longestItem)
    private var position: UInt64 = 0
    private var text: [UInt8] = []
    /// Where a mark ends that stood behind a footer, and whose section that ended.
    private var firstMark: (end: UInt64, payload: UInt64)?

    private static let pieceLimit = 1 << 20

    /// Begins behind sections that have begun before.
    init(_ known: KnownSections) {
        self.known = known
    }

    /// Whether the stream has ended with its description, so that nothing can follow.
    var hasEnded: Bool { if case .ended = state { description != nil } else { false } }

    /// Whether what has come makes a whole stream as it stands.
    var isWhole: Bool {
        switch state {
        case .mark: rest.isEmpty
        case .ended: description != nil
        case .payload(let section, _): isFooterAndMark(of: section)
        case .item, .description, .lost: false
        }
    }

    /// Takes what comes next.
    mutating func append(_ bytes: RawSpan) {
        var taken = 0
        while taken < bytes.byteCount {
            let count = min(Self.pieceLimit, bytes.byteCount - taken)
            rest.append(bytes.extracting(taken..<taken + count))
            taken += count
            while step() {}
        }
    }

    private mutating func take(_ byteCount: Int) {
        rest.removeFirst(byteCount)
        position += UInt64(byteCount)
    }

    /// Takes what can be decided.
    ///
    /// - Returns: Whether to go on.
    private mutating func step() -> Bool {
        guard !rest.isEmpty else { return false }
        switch state {
        case .item: return item()
        case .payload(let section, let start): return payload(of: section, from: start)
        case .mark: return behindMark()
        case .description(let missing): return describe(missing)
        case .ended, .lost:
            take(rest.count)
            return false
        }
    }

    private mutating func item() -> Bool {
        let byte = rest.bytes.loadBigEndian(at: 0, as: UInt8.self)
        switch byte {
        case StreamFormat.Item.endOfFile:
            take(1)
            endOffset = position
            state = .mark
        case StreamFormat.Item.command:
            guard rest.count >= 5 else { return false }
            let count = 5 + Int(rest.bytes.loadBigEndian(at: 3, as: UInt16.self))
            guard rest.count >= count else { return false }
            take(count)
        default:
            guard let kind = SectionHeader.Kind(rawValue: byte),
                sections.count < StreamFormat.sectionLimit
            else {
                state = .lost
                return true
            }
            let found = Self.header(rest.bytes, kind, known, position)
            guard let (header, count) = found else { return false }
            guard let header else {
                state = .lost
                return true
            }
            if kind == .full || kind == .start { known.append(header) }
            take(count)
            state = .payload(header, start: position)
            firstMark = nil
        }
        return true
    }

    /// A section's head and its length; the head is `nil` for a part of what has not begun, all when
    /// more bytes are needed.
    private static func header(
        _ bytes: RawSpan, _ kind: SectionHeader.Kind, _ known: KnownSections, _ offset: UInt64
    ) -> (SectionHeader?, Int)? {
        var cursor = SpanCursor(bytes, at: 1)
        guard let id = cursor.read(UInt32.self) else { return nil }
        if kind == .part || kind == .end {
            guard let begun = known[id] else { return (nil, 0) }
            return (
                SectionHeader(
                    kind: kind, id: id, name: begun.name, instance: begun.instance,
                    version: begun.version, streamOffset: offset), cursor.position
            )
        }
        guard let count = cursor.read(UInt8.self), let name = cursor.readText(Int(count)),
            let instance = cursor.read(UInt32.self), let version = cursor.read(UInt32.self)
        else { return nil }
        return (
            SectionHeader(
                kind: kind, id: id, name: name, instance: instance, version: version,
                streamOffset: offset), cursor.position
        )
    }

    private mutating func payload(of section: SectionHeader, from start: UInt64) -> Bool {
        let payload = OpaquePayload(id: section.id, sections: known)
        let end = payload.findEnd(rest.bytes, from: 0)
        noteMarks(of: section, before: end.position)
        take(end.position)
        guard end.needed == 0 else { return false }
        sections.append(DeviceSection(header: section, byteCount: Int(clamping: position - start)))
        take(5)
        state = .item
        return true
    }

    /// Notes the first footer that a mark and anything but a description follow.
    private mutating func noteMarks(of section: SectionHeader, before end: Int) {
        guard firstMark == nil else { return }
        guard let place = Self.mark(in: rest.bytes, behind: section.id, before: end) else { return }
        firstMark = (position + UInt64(place) + 6, position + UInt64(place))
    }

    private static func mark(in bytes: RawSpan, behind id: UInt32, before end: Int) -> Int? {
        var place = 0
        while place < end, place + 6 <= bytes.byteCount {
            if isFooterAndMark(bytes, at: place, of: id) { return place }
            place += 1
        }
        return nil
    }

    private static func isFooterAndMark(_ bytes: RawSpan, at place: Int, of id: UInt32) -> Bool {
        bytes.loadBigEndian(at: place, as: UInt8.self) == StreamFormat.Item.footer
            && bytes.loadBigEndian(at: place + 1, as: UInt32.self) == id
            && bytes.loadBigEndian(at: place + 5, as: UInt8.self) == StreamFormat.Item.endOfFile
    }

    private func isFooterAndMark(of section: SectionHeader) -> Bool {
        rest.count == 6 && Self.isFooterAndMark(rest.bytes, at: 0, of: section.id)
    }

    private mutating func behindMark() -> Bool {
        let next = rest.bytes.loadBigEndian(at: 0, as: UInt8.self)
        guard next == StreamFormat.Item.description else {
            state = .ended
            return true
        }
        guard rest.count >= 5 else { return false }
        let count = Int(rest.bytes.loadBigEndian(at: 1, as: UInt32.self))
        guard count > 1, count <= StreamFormat.descriptionLimit else {
            state = .ended
            return true
        }
        take(5)
        state = .description(count)
        return true
    }

    private mutating func describe(_ missing: Int) -> Bool {
        let count = min(missing, rest.count)
        text += [UInt8](rest.bytes.extracting(0..<count))
        take(count)
        guard count == missing else {
            state = .description(missing - count)
            return false
        }
        description = StreamDescription(json: text)
        if description != nil {
            descriptionByteCount = text.count
            endOffset = position
        }
        text = []
        state = .ended
        return true
    }

    /// Says that nothing more comes.
    ///
    /// - Returns: Why the stream is not whole; `nil` where it is.
    mutating func finish() -> String? {
        switch state {
        case .mark where !rest.isEmpty:
            return "the stream ends inside the description of its devices: it was cut short"
        case .mark, .ended: return nil
        case .payload(let section, let start):
            if firstMark == nil, isFooterAndMark(of: section) {
                firstMark = (position + 6, position)
            }
            guard let mark = firstMark else {
                return "the stream ends inside section \(section.name), or its footer is missing"
            }
            sections.append(
                DeviceSection(header: section, byteCount: Int(clamping: mark.payload - start)))
            endOffset = mark.end
            state = .ended
            return nil
        case .item:
            return
                "the stream ends before its end-of-file mark: it was cut short, save or send it again"
        case .description:
            return "the stream ends inside the description of its devices: it was cut short"
        case .lost:
            return "no item stands where one should: the stream is damaged"
        }
    }
}
