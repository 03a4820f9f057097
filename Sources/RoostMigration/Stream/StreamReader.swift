internal import RoostMemory

/// Reads a QEMU migration stream from bytes that come in any pieces.
///
/// The reader does no input or output: bytes go in by ``consume(_:into:)``, what they mean goes
/// to a ``StreamHandler``. It keeps at most one unfinished item (under 128 KiB) and, to check
/// that the devices are complete, a copy of what follows the memory.
///
/// ## Theory of operation
///
/// Payloads in a stream carry no length, so a section must be understood to find its end. Memory
/// (`ram`) is. Everything behind it is handed on as it comes and walked at the end, with the
/// stream's own description. A section that is not understood *before* the end of the memory
/// (devices that save early, other iterable handlers) ends where a footer with its number is
/// followed by the head of a plausible next item.
///
/// Owned by one thread at a time. The cost of a page is one look at its record and one call of
/// the handler, with its bytes in place unless a page straddles two pieces.
public struct StreamReader: ~Copyable, Sendable {
    var parser: StreamParser
    private var carry: ByteQueue
    private var failed = false

    /// Makes a reader at the start of a stream.
    ///
    /// - Parameter maximumRAMByteCount: The most memory, in bytes, that a stream may announce.
    public init(maximumRAMByteCount: UInt64 = 16 << 40) {
        parser = StreamParser(maximumRAMByteCount: maximumRAMByteCount)
        carry = ByteQueue(capacity: StreamParser.longestItem)
    }

    /// How many bytes of the stream have been understood.
    public var streamOffset: UInt64 { parser.streamOffset }

    /// The RAM blocks of the stream, empty until they are listed.
    public var blocks: [RAMBlockDescription] { parser.blocks.descriptions }

    /// Whether the memory is complete and only devices can follow.
    public var isPastMemory: Bool { parser.isPastMemory }

    /// Where in the stream the memory ends, as far as it has come: 0 until some is listed.
    var memoryEnd: UInt64 {
        guard !blocks.isEmpty else { return 0 }
        let hasTail = parser.isPastMemory && parser.deviceTail.byteCount > 0
        return hasTail ? parser.deviceTail.streamOffset : streamOffset
    }

    /// Whether the stream has ended for certain: what follows is no part of it, and only counted.
    ///
    /// It can be late, and `false` at the end of a stream that has no description of its devices.
    public var hasEnded: Bool { parser.hasEnded }

    /// How many bytes came behind the end of a stream that has ended for certain.
    var trailingByteCount: Int { parser.hasEnded ? parser.deviceTail.trailingByteCount : 0 }

    /// Counts bytes behind the end of the stream, in place of reading them.
    ///
    /// - Parameter byteCount: How many there are.
    /// - Precondition: ``hasEnded``.
    mutating func skip(_ byteCount: UInt64) {
        precondition(hasEnded)
        parser.skip(byteCount)
    }

    /// Whether what was read is a whole stream, on a connection that stays open behind it.
    ///
    /// Looks at all that followed the memory, so ask when no more bytes are at hand. It can
    /// be early: nothing in a stream tells whether a description follows its end-of-file mark, so
    /// a stream whose description is still on its way looks like one that has none.
    ///
    /// - Returns: `false` while more must follow.
    public mutating func isWhole() -> Bool {
        parser.isPastMemory && carry.isEmpty && parser.isTailWhole()
    }

    /// Whether a stream that ``isWhole()`` found whole ends with the description of its devices, so
    /// that nothing can follow.
    var hasDescription: Bool { parser.hasDescription }

    /// Reads the next bytes of the stream.
    ///
    /// - Parameters:
    ///   - input: Any number of bytes.
    ///   - handler: Told of every item that these bytes complete.
    /// - Throws: `MigrationError` of kind `malformed`, `unsupported` or `limit`, with the offset
    ///   of the item, or what the handler throws. The reader is of no further use then.
    public mutating func consume<Handler: StreamHandler & ~Copyable>(
        _ input: RawSpan, into handler: inout Handler
    ) throws(MigrationError) {
        precondition(!failed, "a stream reader was used after it threw")
        do throws(MigrationError) {
            try Self.read(input, parser: &parser, carry: &carry, into: &handler)
        } catch {
            failed = true
            throw error
        }
    }

    private static func read<Handler: StreamHandler & ~Copyable>(
        _ input: RawSpan, parser: inout StreamParser, carry: inout ByteQueue,
        into handler: inout Handler
    ) throws(MigrationError) {
        var position = 0
        // First what an earlier piece left unfinished: just as many bytes more as it lacks.
        var needed = carry.isEmpty ? 0 : carry.count &+ 1
        while !carry.isEmpty {
            let missing = needed &- carry.count
            if missing > 0 {
                let taken = min(missing, input.byteCount &- position)
                carry.append(input.extracting(position..<position &+ taken))
                position &+= taken
                guard taken == missing else { return }
            }
            var consumed = 0
            needed = try parser.step(carry.bytes, at: &consumed, into: &handler)
            carry.removeFirst(consumed)
        }
        while position < input.byteCount {
            if try parser.step(input, at: &position, into: &handler) > 0 {
                carry.append(input.extracting(position..<input.byteCount))
                return
            }
        }
    }

    /// Says that the input has ended, and checks that the stream had.
    ///
    /// - Returns: What followed the memory; of a stream without memory, all of its sections.
    /// - Throws: `MigrationError` of kind `truncated`, `malformed` or `unsupported`.
    public consuming func finish() throws(MigrationError) -> DeviceTail {
        if Self.isDevicesOnly(&parser, rest: carry) { return try parser.finish() }
        guard parser.isPastMemory, carry.isEmpty else {
            throw MigrationError(
                .truncated, streamOffset: streamOffset,
                "the stream ends inside \(parser.place) at offset \(streamOffset): "
                    + "it was cut short, save or send it again")
        }
        return try parser.finish()
    }

    private static func isDevicesOnly(
        _ parser: inout StreamParser, rest: borrowing ByteQueue
    ) -> Bool {
        parser.isDevicesOnly(rest: rest.bytes)
    }
}
