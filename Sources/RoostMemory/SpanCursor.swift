/// Reads a span from front to back; past its end it answers `nil` and remembers what it needed.
///
/// What a stream or a peer sent is parsed with it: nothing is read outside the span, and how
/// many bytes are missing is known.
package struct SpanCursor: ~Escapable {
    private let bytes: RawSpan
    /// Where the next read begins, as an offset in the span.
    package private(set) var position: Int
    /// The end of what was asked for last, as an offset in the span.
    package private(set) var needed: Int

    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, at position: Int = 0) {
        self.bytes = bytes
        self.position = position
        needed = position
    }

    /// How many bytes are left.
    package var remaining: Int { bytes.byteCount - position }

    private mutating func advance(_ count: Int) -> Int? {
        needed = position + count
        guard needed <= bytes.byteCount else { return nil }
        defer { position = needed }
        return position
    }

    /// Reads an integer, most significant byte first.
    package mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) -> Value? {
        advance(MemoryLayout<Value>.size).map { bytes.loadBigEndian(at: $0, as: type) }
    }

    /// Reads a text of `count` bytes; bytes that are no UTF-8 show as U+FFFD.
    package mutating func readText(_ count: Int) -> String? {
        advance(count).map { String(bytes, from: $0, count: count) }
    }

    /// Passes over `count` bytes and answers where they lie.
    package mutating func skip(_ count: Int) -> Range<Int>? {
        advance(count).map { $0..<$0 + count }
    }
}

extension String {
    /// The text of some bytes of a span; bytes that are no UTF-8 show as U+FFFD.
    ///
    /// - Precondition: The bytes lie in the span.
    package init(_ span: RawSpan, from start: Int, count: Int) {
        self.init(decoding: [UInt8](span.extracting(start..<start + count)), as: UTF8.self)
    }
}

extension [UInt8] {
    /// A copy of a span.
    package init(_ span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

extension RawSpan {
    /// Whether `count` bytes from `start` on are those of a text, which they may have been read
    /// into: bytes that are no UTF-8 are not.
    ///
    /// - Precondition: The bytes lie in the span.
    package func spells(_ text: String, from start: Int, count: Int) -> Bool {
        var position = start
        for byte in text.utf8 {
            guard position < start + count, loadBigEndian(at: position, as: UInt8.self) == byte
            else { return false }
            position += 1
        }
        return position == start + count
    }
}
