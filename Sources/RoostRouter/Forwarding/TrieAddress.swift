/// An address as the tries take it apart.
protocol TrieAddress: NetworkAddress {
    /// What holds the bits.
    associatedtype Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable & Sendable

    /// The address's bits, the first one highest.
    var bits: Bits { get }

    /// The first bits as a number, and those after them, the first one highest.
    ///
    /// - Parameter order: How many are the first, 0 to 31.
    /// - Returns: Both.
    func split(at order: UInt32) -> (first: Int, rest: Bits)

    /// Which of a namespace's root words is this family's.
    static var rootOffset: Int { get }
}

extension IPv4Address: TrieAddress {
    var bits: UInt32 {
        @inline(__always) get { rawValue }
    }

    @inline(__always)  // Once a lookup.
    func split(at order: UInt32) -> (first: Int, rest: UInt32) {
        let shifted = UInt64(rawValue) &<< UInt64(order)
        return (Int(truncatingIfNeeded: shifted &>> 32), UInt32(truncatingIfNeeded: shifted))
    }

    static var rootOffset: Int { 0 }
}

extension IPv6Address: TrieAddress {
    var bits: UInt128 {
        @inline(__always) get { UInt128(high) << 64 | UInt128(low) }
    }

    @inline(__always)  // Once a lookup.
    func split(at order: UInt32) -> (first: Int, rest: UInt128) {
        // In two steps, since an order of 0 would need shifts by the whole width.
        let back = 63 &- UInt64(order)
        let first = (high &>> 1) &>> back
        let restHigh = high &<< UInt64(order) | (low &>> 1) &>> back
        let rest = UInt128(restHigh) << 64 | UInt128(low &<< UInt64(order))
        return (Int(truncatingIfNeeded: first), rest)
    }

    static var rootOffset: Int { 2 }
}

extension TrieAddress {
    /// A bit of the address, the highest being bit 0; past the last it is 0.
    @inline(__always)  // Once a node of every walk.
    func bit(_ index: Int) -> Bool {
        (bits << index) >> (Bits.bitWidth - 1) != 0
    }

    /// Up to 31 bits of an address's bits as a number; those past the last are 0.
    @inline(__always)
    static func chunk(_ bits: Bits, at offset: Int, count: Int) -> Int {
        // Shifted in two steps, since a count of 0 would need a shift by the whole width.
        Int(truncatingIfNeeded: ((bits << offset) >> 1) &>> Bits(Bits.bitWidth - 1 - count))
    }
}
