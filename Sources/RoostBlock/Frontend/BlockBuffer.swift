internal import RoostMemory

/// Memory from which a frontend writes and into which it reads.
///
/// A request may use any of its bytes: no alignment is asked for. While a request uses bytes, its
/// caller leaves them alone: a write copies them again when the backend was lost meanwhile. The
/// memory goes with the last reference.
public final class BlockBuffer: Sendable {
    let arena: BufferArena
    private let pages: Range<Int>
    /// How many bytes it has.
    public let byteCount: Int

    init(in arena: BufferArena, byteCount: Int) throws(BlockError) {
        guard byteCount > 0, byteCount <= BufferArena.maximumPageCount * pageByteCount else {
            throw BlockError(
                .request, "cannot make a buffer of \(byteCount) bytes: give a positive number")
        }
        self.arena = arena
        pages = try arena.allocate(pageCount: (byteCount + pageByteCount - 1) / pageByteCount)
        self.byteCount = byteCount
    }

    deinit {
        arena.release(pages)
    }

    /// Where the first byte lies in the arena.
    var start: Int { pages.lowerBound * pageByteCount }

    /// Some of the bytes, for a request.
    ///
    /// - Precondition: They lie in the buffer.
    public subscript(range: Range<Int>) -> BlockBufferSlice {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        return BlockBufferSlice(buffer: self, range: range)
    }

    /// All of the bytes, for a request.
    public var all: BlockBufferSlice { self[0..<byteCount] }

    /// Lends some of the bytes to read.
    ///
    /// - Parameters:
    ///   - range: Which.
    ///   - body: Is given the bytes.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    /// - Precondition: They lie in the buffer.
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ range: Range<Int>, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        let window = arena.window
        let bytes = window.bytes(at: start + range.lowerBound, count: range.count)
        return try body(bytes)
    }

    /// Lends some of the bytes to write.
    ///
    /// - Parameters:
    ///   - range: Which.
    ///   - body: Is given the bytes.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    /// - Precondition: They lie in the buffer.
    public func withMutableBytes<Result: ~Copyable, Failure: Error>(
        _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        return try arena.window.withMutableBytes(
            at: start + range.lowerBound, count: range.count, body)
    }
}

/// Some bytes of a buffer.
public struct BlockBufferSlice: Sendable {
    /// The buffer.
    public let buffer: BlockBuffer
    /// Which of its bytes.
    public let range: Range<Int>

    /// Where they lie in the arena.
    var piece: BufferPiece {
        BufferPiece(offset: buffer.start + range.lowerBound, byteCount: range.count)
    }
}

/// Bytes of a request's caller, as a place in the arena.
struct BufferPiece: Sendable {
    var offset: Int
    var byteCount: Int
}
