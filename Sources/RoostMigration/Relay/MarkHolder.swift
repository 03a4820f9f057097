internal import RoostMemory

/// Lets a stream through, and holds back what may be its end-of-file mark.
///
/// QEMU's destination starts its guest at that mark, a zero byte between two items, with nothing or
/// the description behind it:
///
///     00 │ 06 │ be32 length │ {…}
///
/// So every zero byte is held that is the last at hand, or that such a description may follow, until
/// a later byte contradicts. The rule is local: nothing has to be believed of who sent the stream, nor
/// known of the devices in it. Each byte is looked at once, and no more is held than the longest
/// description.
struct MarkHolder: ~Copyable, Sendable {
    /// The mark's length with the head of a description and its first brace.
    private static let headByteCount = 7

    /// What may be the mark, and all that came behind it.
    private var held = ByteQueue(capacity: 4096)

    /// How many bytes are held back.
    var heldByteCount: Int { held.count }

    /// Takes what comes next.
    ///
    /// - Parameters:
    ///   - bytes: Any number of bytes.
    ///   - body: Is given what is certainly before the mark, in order.
    /// - Throws: What `body` throws.
    mutating func take(
        _ bytes: RawSpan, _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard held.isEmpty else {
            hold(bytes)
            let passed = Self.certain(held.bytes)
            guard passed > 0 else { return }
            try body(held.bytes.extracting(0..<passed))
            held.removeFirst(passed)
            return
        }
        let passed = Self.certain(bytes)
        if passed > 0 { try body(bytes.extracting(0..<passed)) }
        if passed < bytes.byteCount { hold(bytes.extracting(passed..<bytes.byteCount)) }
    }

    /// Hands on what is held: the mark, and what is behind it.
    ///
    /// - Parameter body: Is given all of it, unless there is none.
    /// - Throws: What `body` throws.
    mutating func release(
        _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard !held.isEmpty else { return }
        try body(held.bytes)
        held.removeAll()
    }

    private mutating func hold(_ bytes: RawSpan) {
        if held.room < bytes.byteCount {
            var larger = ByteQueue(capacity: 2 * (held.count + bytes.byteCount))
            larger.append(held.bytes)
            held = larger
        }
        held.append(bytes)
    }

    /// How many of the bytes are certainly before the mark.
    private static func certain(_ bytes: RawSpan) -> Int {
        var position = 0
        while let next = zero(in: bytes, from: position) {
            if mayBeMark(bytes.extracting(next..<bytes.byteCount)) { return next }
            position = next + 1
        }
        return bytes.byteCount
    }

    private static func zero(in bytes: RawSpan, from start: Int) -> Int? {
        var position = start
        while position < bytes.byteCount {
            if bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.endOfFile {
                return position
            }
            position += 1
        }
        return nil
    }

    /// Whether a zero byte may be the mark, by all that is there from it on.
    private static func mayBeMark(_ bytes: RawSpan) -> Bool {
        func byte(_ index: Int) -> UInt8 { bytes.loadBigEndian(at: index, as: UInt8.self) }
        guard bytes.byteCount > 1 else { return true }
        guard byte(1) == StreamFormat.Item.description else { return false }
        guard bytes.byteCount >= headByteCount - 1 else { return true }
        let length = Int(bytes.loadBigEndian(at: 2, as: UInt32.self))
        guard (2...StreamFormat.descriptionLimit).contains(length) else { return false }
        guard bytes.byteCount >= headByteCount else { return true }
        guard byte(6) == UInt8(ascii: "{") else { return false }
        let end = headByteCount - 1 + length
        guard bytes.byteCount >= end else { return true }
        return bytes.byteCount == end && byte(end - 1) == UInt8(ascii: "}")
    }
}
