internal import RoostMemory

extension StreamParser {
    /// The payload of a section that is not understood, up to its footer.
    mutating func opaque<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        guard let section = current else { preconditionFailure("a payload without a section") }
        guard hasFooters != false else {
            throw unsupported(
                "section \(section.name) comes before the end of the memory in a stream without "
                    + "footers, so where it ends cannot be known")
        }
        let ending = OpaquePayload(id: section.id, sections: sections)
            .findEnd(bytes, from: position)
        if ending.position > position {
            try handler.opaque(bytes.extracting(position..<ending.position))
            take(ending.position - position, at: &position)
        }
        if ending.needed == 0 { state = .footer }
        return ending.needed
    }
}

/// Finds where the payload of a section ends that is not understood.
///
/// Nothing says how long it is. It ends where a footer with the section's own number is followed
/// by the head of an item that can come next.
struct OpaquePayload {
    /// The section's number.
    let id: UInt32
    /// The sections that have begun.
    let sections: KnownSections

    /// Whether something is so, as far as the bytes at hand tell.
    private enum Answer {
        case yes
        case no
        /// So many bytes decide.
        case needs(Int)
    }

    /// Finds the footer from `start` on in a piece of the stream.
    ///
    /// - Returns: The footer's position and `needed` 0; or how far the payload certainly goes
    ///   and how many bytes from there on decide.
    func findEnd(_ bytes: RawSpan, from start: Int) -> (position: Int, needed: Int) {
        var position = start
        while position < bytes.byteCount {
            if bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.footer {
                guard bytes.byteCount - position >= 5 else { return (position, 5) }
                if bytes.loadBigEndian(at: position + 1, as: UInt32.self) == id {
                    switch canBeItem(bytes, at: position + 5) {
                    case .yes: return (position, 0)
                    case .no: break
                    case .needs(let count): return (position, 5 + count)
                    }
                }
            }
            position += 1
        }
        return (position, 1)
    }

    /// Finds the footer from `start` on in all that is left of the stream.
    ///
    /// The end-of-file mark is known by the description's mark behind it or by being the last
    /// byte; where neither comes, the first mark behind a footer counts.
    ///
    /// - Returns: The footer's position; `nil` when there is none.
    func findEnd(inRest bytes: RawSpan, from start: Int) -> Int? {
        var endOfFile: Int?
        var position = start
        while position + 6 <= bytes.byteCount {
            defer { position += 1 }
            guard
                bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.footer,
                bytes.loadBigEndian(at: position + 1, as: UInt32.self) == id
            else { continue }
            if case .yes = canBeItem(bytes, at: position + 5) { return position }
            let item = bytes.loadBigEndian(at: position + 5, as: UInt8.self)
            if item == StreamFormat.Item.endOfFile { endOfFile = endOfFile ?? position }
        }
        return endOfFile
    }

    /// Whether an item that can come next begins here.
    private func canBeItem(_ bytes: RawSpan, at start: Int) -> Answer {
        var cursor = SpanCursor(bytes, at: start)
        guard let kind = cursor.read(UInt8.self) else { return .needs(1) }
        switch kind {
        case SectionHeader.Kind.part.rawValue, SectionHeader.Kind.end.rawValue:
            guard let other = cursor.read(UInt32.self) else {
                return .needs(cursor.needed - start)
            }
            return sections[other] != nil ? .yes : .no
        case SectionHeader.Kind.start.rawValue, SectionHeader.Kind.full.rawValue:
            guard let other = cursor.read(UInt32.self), let count = cursor.read(UInt8.self) else {
                return .needs(cursor.needed - start)
            }
            guard count > 0, sections[other] == nil else { return .no }
            guard let name = cursor.skip(Int(count)) else { return .needs(cursor.needed - start) }
            let isText = name.allSatisfy {
                (0x20...0x7e).contains(bytes.loadBigEndian(at: $0, as: UInt8.self))
            }
            return isText ? .yes : .no
        case StreamFormat.Item.command:
            guard let number = cursor.read(UInt16.self), let count = cursor.read(UInt16.self)
            else { return .needs(cursor.needed - start) }
            let lengths = StreamCommand(rawValue: number)?.lengths ?? []
            return lengths.contains(Int(count)) ? .yes : .no
        case StreamFormat.Item.endOfFile:
            guard let next = cursor.read(UInt8.self) else { return .needs(cursor.needed - start) }
            return next == StreamFormat.Item.description ? .yes : .no
        default:
            return .no
        }
    }
}
