internal import Glibc
public import SystemPackage

/// A first-in-first-out queue of bytes in one contiguous, fixed piece of memory.
///
/// What reads a descriptor fills it, what parses takes a span of it; a writer appends to it, and
/// what writes a descriptor drains it. Its capacity is fixed, so a queue never allocates after
/// it is made. Owned by one thread at a time.
@safe
public struct ByteQueue: ~Copyable, @unchecked Sendable {
    // SAFETY (@unchecked Sendable): as for `MappedRegion`, the one owner of the memory.

    // What is generic is inlinable, for another module cannot specialize it otherwise, and then
    // an integer appended costs a dozen calls. So these are usable from inline code.
    @usableFromInline internal let storage: UnsafeMutableRawPointer
    @usableFromInline internal var start = 0
    @usableFromInline internal var end = 0

    /// The most bytes the queue can hold.
    public let capacity: Int

    /// Makes an empty queue.
    ///
    /// - Parameter capacity: The most bytes it can hold, above zero.
    public init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        unsafe storage = .allocate(byteCount: capacity, alignment: 64)
    }

    /// How many bytes wait in the queue.
    @inlinable public var count: Int { end &- start }

    /// Whether no bytes wait.
    public var isEmpty: Bool { start == end }

    /// How many bytes can be appended.
    @inlinable public var room: Int { capacity &- count }

    /// The bytes that wait, oldest first.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // SAFETY: `start...end` lies in the storage, initialized, and the span borrows self.
            let span = unsafe RawSpan(_unsafeStart: storage + start, byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Takes the oldest bytes away.
    ///
    /// - Precondition: `byteCount` is at most ``count``.
    public mutating func removeFirst(_ byteCount: Int) {
        precondition(byteCount >= 0 && byteCount <= count)
        start &+= byteCount
        if start == end {
            start = 0
            end = 0
        }
    }

    /// Takes every byte away.
    public mutating func removeAll() {
        start = 0
        end = 0
    }

    /// Puts bytes behind those that wait.
    ///
    /// - Precondition: They fit: `bytes.byteCount` is at most ``room``.
    public mutating func append(_ bytes: RawSpan) {
        let destination = unsafe claim(bytes.byteCount)
        unsafe bytes.withUnsafeBytes { source in
            if let from = source.baseAddress {
                // SAFETY: `claim` made `bytes.byteCount` bytes of room, and a span of other
                // memory cannot overlap storage this value holds exclusively.
                unsafe destination.copyMemory(from: from, byteCount: bytes.byteCount)
            }
        }
    }

    /// Puts an integer behind the bytes that wait, most significant byte first.
    ///
    /// - Precondition: It fits.
    @inlinable
    public mutating func append<Value: FixedWidthInteger>(bigEndian value: Value) {
        let destination = unsafe claim(MemoryLayout<Value>.size)
        // SAFETY: `claim` made room for it; the storage has no alignment of its own.
        unsafe destination.storeBytes(of: value.bigEndian, as: Value.self)
    }

    /// Puts the bytes of a string behind those that wait.
    ///
    /// - Precondition: They fit.
    public mutating func append(utf8 text: String) {
        for byte in text.utf8 {
            append(bigEndian: byte)
        }
    }

    /// Lets a kernel write into the room behind the bytes that wait.
    ///
    /// - Parameters:
    ///   - limit: The most bytes it may write, at most ``room``.
    ///   - body: Writes from the start of the span and returns how many bytes it wrote.
    /// - Returns: What `body` returned.
    /// - Throws: What `body` throws; nothing is appended then.
    @inlinable
    public mutating func append<Failure: Error>(
        upTo limit: Int, _ body: (inout MutableRawSpan) throws(Failure) -> Int
    ) throws(Failure) -> Int {
        let destination = unsafe claim(limit)
        end &-= limit
        // SAFETY: `claim` made `limit` bytes of room, which nobody else refers to.
        var span = unsafe MutableRawSpan(_unsafeStart: destination, byteCount: limit)
        let written = try body(&span)
        precondition(written >= 0 && written <= limit)
        end &+= written
        return written
    }

    /// Overwrites an integer that waits, most significant byte first.
    ///
    /// - Precondition: It lies among the bytes that wait.
    @inlinable
    public mutating func replace<Value: FixedWidthInteger>(bigEndian value: Value, at offset: Int) {
        precondition(offset >= 0 && offset <= count &- MemoryLayout<Value>.size)
        // SAFETY: the offset was checked against the bytes that wait.
        unsafe (storage + start + offset).storeBytes(of: value.bigEndian, as: Value.self)
    }

    /// Reads from a descriptor until something arrived, at most as much as there is room for.
    ///
    /// - Returns: How many bytes arrived; 0 at the end of the input.
    /// - Throws: `Errno` of read(2); an interrupted call is repeated.
    /// - Precondition: There is room.
    public mutating func fill(from descriptor: FileDescriptor) throws(Errno) -> Int {
        precondition(room > 0)
        if end == capacity { compact() }
        var result: Int
        repeat {
            // SAFETY: `end..<capacity` lies in the storage behind what waits.
            result = unsafe read(descriptor.rawValue, storage + end, capacity &- end)
        } while result < 0 && errno == EINTR
        guard result >= 0 else { throw Errno(rawValue: errno) }
        end &+= result
        return result
    }

    /// Writes bytes that wait to a descriptor, once, and takes away what was written.
    ///
    /// - Returns: How many bytes were written.
    /// - Throws: `Errno` of write(2); an interrupted call is repeated.
    public mutating func drain(to descriptor: FileDescriptor) throws(Errno) -> Int {
        var result: Int
        repeat {
            // SAFETY: `start...end` lies in the storage and is initialized.
            result = unsafe write(descriptor.rawValue, storage + start, count)
        } while result < 0 && errno == EINTR
        guard result >= 0 else { throw Errno(rawValue: errno) }
        removeFirst(result)
        return result
    }

    /// Writes every byte that waits.
    ///
    /// - Throws: `Errno` of write(2); what was not written still waits.
    public mutating func drainAll(to descriptor: FileDescriptor) throws(Errno) {
        while !isEmpty {
            _ = try drain(to: descriptor)
        }
    }

    /// Makes `byteCount` bytes at the end of the queue part of it, moving what waits to the
    /// front of the storage when there is no room behind it.
    @inlinable
    internal mutating func claim(_ byteCount: Int) -> UnsafeMutableRawPointer {
        precondition(byteCount >= 0 && byteCount <= room, "a byte queue is full")
        if end &+ byteCount > capacity { compact() }
        let destination = unsafe storage + end
        end &+= byteCount
        return unsafe destination
    }

    /// Moves what waits to the front of the storage.
    @usableFromInline
    internal mutating func compact() {
        // SAFETY: both ranges lie in the storage; memmove allows overlap.
        unsafe memmove(storage, storage + start, count)
        end &-= start
        start = 0
    }

    deinit {
        unsafe storage.deallocate()
    }
}
