/// Frames on their way through a worker: received together, changed in place, sent from where they
/// lie.
///
///     slot    0                headroom           headroom + frameLimit + 1
///             | free           | frame as received  . . .  | 1 |   next slot
///                      ^ start after the frame grew at its front
///
/// A batch has ``capacity`` slots of one size in memory of its own, so that filling, changing and
/// sending allocate nothing. One byte past the limit tells a frame that is too long from one that is
/// as long as it may be. Owned by one thread at a time.
@safe
package struct FrameBatch: ~Copyable {
    /// How many frames there are at most: as many as a ``SlotSet`` can name.
    package static let capacity = 64
    /// How many bytes are free before a frame as it was received: two VLAN tags, or an outer IPv6 and
    /// Ethernet header with room to spare; two lines of 64 bytes, so that frames begin on one.
    package static let headroom = 128
    /// The longest frame that a batch can be made for: a jumbo frame's 9,216 bytes with an Ethernet
    /// header and a VLAN tag.
    package static let longestFrameLimit = 9_216 + 18
    /// The frame limit of an MTU of 1,500 bytes with an Ethernet header and a VLAN tag.
    package static let usualFrameLimit = 1_518

    /// The longest frame in bytes.
    package let frameLimit: Int
    @usableFromInline internal var filled = 0
    @usableFromInline internal let slotByteCount: Int
    @usableFromInline internal var memory: FixedArray<UInt8>
    /// Where each frame begins in its slot, and how long it is.
    @usableFromInline internal var starts = [64 of UInt16](repeating: 0)
    @usableFromInline internal var byteCounts = [64 of UInt16](repeating: 0)

    /// Makes an empty batch.
    ///
    /// - Parameter frameLimit: The longest frame in bytes, 60 to ``longestFrameLimit``.
    /// - Throws: `MemoryError` of kind `mapping`.
    package init(frameLimit: Int = usualFrameLimit) throws(MemoryError) {
        precondition(frameLimit >= 60 && frameLimit <= Self.longestFrameLimit)
        self.frameLimit = frameLimit
        // Whole lines, so that no two frames share one.
        slotByteCount = (Self.headroom + frameLimit + 1 + 63) & ~63
        memory = try FixedArray(count: slotByteCount * Self.capacity)
    }

    /// How many slots have a frame; they are the first ones.
    @inlinable
    package var count: Int { filled }

    /// Whether no slot is free.
    @inlinable
    package var isFull: Bool { count == Self.capacity }

    /// The slots that have a frame.
    @inlinable
    package var slots: SlotSet { .first(count) }

    /// How long a frame is, in bytes.
    ///
    /// - Precondition: The slot has a frame.
    @inlinable
    package func byteCount(of slot: Int) -> Int {
        check(slot)
        return Int(byteCounts[slot])
    }

    /// A frame, to read.
    ///
    /// - Precondition: The slot has a frame.
    @inlinable
    @_lifetime(borrow self)
    package func frame(_ slot: Int) -> RawSpan {
        check(slot)
        let start = slot * slotByteCount + Int(starts[slot])
        memory.checkRange(start, Int(byteCounts[slot]))
        // SAFETY: the bytes lie in the array, checked above, which lives as long as self.
        let span = unsafe RawSpan(
            _unsafeStart: memory.base + start, byteCount: Int(byteCounts[slot]))
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// A frame, to change.
    ///
    /// - Precondition: The slot has a frame.
    @inlinable
    @_lifetime(&self)
    package mutating func mutableFrame(_ slot: Int) -> MutableRawSpan {
        check(slot)
        let start = slot * slotByteCount + Int(starts[slot])
        return room(from: start, byteCount: Int(byteCounts[slot]))
    }

    /// Lets a frame begin earlier: the bytes before it are those of its headroom, whatever they are.
    ///
    /// - Returns: Whether there is so much headroom and the frame stays within ``frameLimit``.
    /// - Precondition: The slot has a frame, and the number is not negative.
    @inlinable
    package mutating func growFront(of slot: Int, by byteCount: Int) -> Bool {
        check(slot)
        precondition(byteCount >= 0)
        guard byteCount <= Int(starts[slot]), byteCount <= frameLimit - Int(byteCounts[slot])
        else { return false }
        starts[slot] -= UInt16(byteCount)
        byteCounts[slot] += UInt16(byteCount)
        return true
    }

    /// Lets a frame begin later.
    ///
    /// - Precondition: The slot has a frame of at least so many bytes.
    @inlinable
    package mutating func trimFront(of slot: Int, by byteCount: Int) {
        check(slot)
        precondition(byteCount >= 0 && byteCount <= Int(byteCounts[slot]))
        starts[slot] += UInt16(byteCount)
        byteCounts[slot] -= UInt16(byteCount)
    }

    /// Lets a frame end elsewhere; bytes that it gains are whatever lay there.
    ///
    /// - Precondition: The slot has a frame, and the length is 0 to ``frameLimit``.
    @inlinable
    package mutating func setByteCount(_ byteCount: Int, of slot: Int) {
        check(slot)
        precondition(byteCount >= 0 && byteCount <= frameLimit)
        // A frame that was trimmed at its front lies further back in the slot.
        precondition(Int(starts[slot]) + byteCount <= slotByteCount)
        byteCounts[slot] = UInt16(byteCount)
    }

    /// Adds a copy of a frame.
    ///
    /// - Returns: Its slot, or nil when the batch is full or the frame is longer than ``frameLimit``.
    @inlinable
    package mutating func append(_ frame: RawSpan) -> Int? {
        guard let slot = appendSlot(byteCount: frame.byteCount) else { return nil }
        var target = mutableFrame(slot)
        target.replaceAll(with: frame)
        return slot
    }

    /// Adds a copy of a frame that lies in shared memory.
    ///
    /// - Returns: Its slot, or nil when the batch is full or the frame is longer than ``frameLimit``.
    package mutating func append(
        _ memory: borrowing SharedArray<UInt8>, _ range: Range<Int>
    ) -> Int? {
        append(memory.bytes(range))
    }

    /// Adds a frame to be written in place; its bytes are whatever lay there.
    ///
    /// - Returns: Its slot, or nil when the batch is full or the length exceeds ``frameLimit``.
    /// - Precondition: The length is not negative.
    @inlinable
    package mutating func appendSlot(byteCount: Int) -> Int? {
        precondition(byteCount >= 0)
        guard !isFull, byteCount <= frameLimit else { return nil }
        starts[filled] = UInt16(Self.headroom)
        byteCounts[filled] = UInt16(byteCount)
        filled += 1
        return filled - 1
    }

    /// The place of the next frame for a device to write to, one byte longer than ``frameLimit``.
    ///
    /// - Precondition: The batch is not full.
    @inlinable
    @_lifetime(&self)
    package mutating func nextRoom() -> MutableRawSpan {
        precondition(!isFull)
        return room(from: count * slotByteCount + Self.headroom, byteCount: frameLimit + 1)
    }

    /// Lets the last frames go.
    ///
    /// - Precondition: There are so many.
    @inlinable
    package mutating func removeLast(_ count: Int) {
        precondition(count >= 0 && count <= filled)
        filled -= count
    }

    /// Lets all frames go.
    @inlinable
    package mutating func removeAll() {
        filled = 0
    }

    @inlinable
    @_lifetime(&self)
    internal mutating func room(from start: Int, byteCount: Int) -> MutableRawSpan {
        memory.checkRange(start, byteCount)
        // SAFETY: the bytes lie in the array, checked above, which lives as long as self, and self is
        // held exclusively as long as the span lives.
        let span = unsafe MutableRawSpan(
            _unsafeStart: memory.base + start, byteCount: byteCount)
        return unsafe _overrideLifetime(span, mutating: &self)
    }

    @inlinable
    internal func check(_ slot: Int) {
        precondition(slot >= 0 && slot < count)
    }
}
