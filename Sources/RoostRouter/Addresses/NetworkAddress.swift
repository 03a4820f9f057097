/// An address of a family, as a number of ``bitWidth`` bits whose first bit is the highest.
public protocol NetworkAddress: BitwiseCopyable, Comparable, Hashable, Sendable,
    LosslessStringConvertible
{
    /// The family.
    static var family: AddressFamily { get }

    /// How many bits an address has.
    static var bitWidth: Int { get }

    /// The address of zeros: 0.0.0.0 or ::.
    static var unspecified: Self { get }

    /// Up to 32 bits of the address as a number; those past its end are 0.
    ///
    /// - Parameters:
    ///   - start: The first bit, counted from the highest, 0 to ``bitWidth``.
    ///   - count: How many, 1 to 32.
    /// - Returns: The bits, the last one lowest.
    func bits(from start: Int, count: Int) -> UInt32

    /// The address with all bits past the first ones set to 0.
    ///
    /// - Parameter length: How many bits are kept, 0 to ``bitWidth``.
    /// - Returns: The lowest address of the prefix of that length.
    func masked(to length: Int) -> Self

    /// How many bits from the highest on both addresses have in common, 0 to ``bitWidth``.
    func commonBitCount(with other: Self) -> Int

    /// An address from its ``halves``; of one of 32 bits only the lowest 32 are looked at.
    init(high: UInt64, low: UInt64)

    /// The address as two halves in host order; an address of 32 bits lies in the low one.
    var halves: (high: UInt64, low: UInt64) { get }
}
