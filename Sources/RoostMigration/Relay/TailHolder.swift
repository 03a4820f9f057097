internal import RoostMemory

/// Lets the memory of a stored stream through, and holds what follows it until the stream was read to
/// its end and found whole.
///
/// A destination starts its guest at the end-of-file mark, and where a stream has no description of
/// its devices only its end tells which byte that is. So all that follows the memory is held, and
/// until memory is listed what comes before it; of more than ``limit`` bytes, what may be the mark by
/// the rule of ``MarkHolder``.
struct TailHolder: ~Copyable {
    /// The most bytes that are held; devices rarely take more than a few MiB.
    static let limit = StreamFormat.tailLimit

    private var held = ByteQueue(capacity: 64 << 10)
    /// Where in the stream what is held begins.
    private var position: UInt64 = 0
    /// Takes all, once too much followed.
    private var marks: MarkHolder?

    /// Takes what comes next.
    ///
    /// - Parameters:
    ///   - bytes: A piece of the stream.
    ///   - limit: Where in the stream the memory ends, as far as it is known.
    ///   - body: Is given what goes on, in order.
    /// - Throws: What `body` throws.
    mutating func take(
        _ bytes: RawSpan, memoryEnd limit: UInt64, _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard marks == nil else {
            try marks?.take(bytes, body)
            return
        }
        let passed = Int(clamping: limit - min(position, limit))
        let earlier = min(passed, held.count)
        if earlier > 0 {
            try body(held.bytes.extracting(0..<earlier))
            held.removeFirst(earlier)
        }
        let count = min(passed - earlier, bytes.byteCount)
        if count > 0 { try body(bytes.extracting(0..<count)) }
        position += UInt64(earlier + count)
        try hold(bytes.extracting(count..<bytes.byteCount), body)
    }

    private mutating func hold(
        _ bytes: RawSpan, _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard bytes.byteCount <= Self.limit - held.count else {
            var marks = MarkHolder()
            try marks.take(held.bytes, body)
            try marks.take(bytes, body)
            self.marks = consume marks
            held = ByteQueue(capacity: 1)
            return
        }
        if held.room < bytes.byteCount {
            var larger = ByteQueue(capacity: 2 * (held.count + bytes.byteCount))
            larger.append(held.bytes)
            held = larger
        }
        held.append(bytes)
    }

    /// Hands on what is held of the stream: its end.
    ///
    /// - Parameters:
    ///   - end: Where the stream ends; what came behind it is dropped.
    ///   - body: Is given all of it, unless there is none.
    /// - Throws: What `body` throws.
    mutating func release(
        upTo end: UInt64, _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) {
        guard marks == nil else {
            try marks?.release(body)
            return
        }
        let count = min(held.count, Int(clamping: end - min(position, end)))
        if count > 0 { try body(held.bytes.extracting(0..<count)) }
    }
}
