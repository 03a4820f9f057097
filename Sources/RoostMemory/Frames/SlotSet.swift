/// Slots of a batch of frames, a bit each.
package struct SlotSet: BitwiseCopyable, Equatable, Sendable {
    /// Slot n in bit n.
    package var rawValue: UInt64

    /// A set from its bits.
    @inlinable
    package init(rawValue: UInt64 = 0) {
        self.rawValue = rawValue
    }

    /// The first slots.
    ///
    /// - Parameter count: How many, 0 to 64.
    /// - Returns: Slots 0 to `count` - 1.
    @inlinable
    package static func first(_ count: Int) -> SlotSet {
        // The smart shift gives 0 for 64.
        SlotSet(rawValue: ~(UInt64.max << count))
    }

    /// Whether there are none.
    @inlinable
    package var isEmpty: Bool { rawValue == 0 }

    /// How many there are.
    @inlinable
    package var count: Int { rawValue.nonzeroBitCount }

    /// Whether a slot, 0 to 63, is one of them.
    @inlinable
    package func contains(_ slot: Int) -> Bool { rawValue & Self.bit(slot) != 0 }

    /// Adds a slot, 0 to 63.
    @inlinable
    package mutating func insert(_ slot: Int) { rawValue |= Self.bit(slot) }

    /// Takes a slot, 0 to 63, out.
    @inlinable
    package mutating func remove(_ slot: Int) { rawValue &= ~Self.bit(slot) }

    /// Takes the lowest slot out and answers it; nil when there are none.
    @inlinable
    package mutating func popFirst() -> Int? {
        guard rawValue != 0 else { return nil }
        let slot = rawValue.trailingZeroBitCount
        rawValue &= rawValue &- 1  // Clears the lowest bit; there is one.
        return slot
    }

    @inlinable
    internal static func bit(_ slot: Int) -> UInt64 { 1 << UInt64(slot) }
}
