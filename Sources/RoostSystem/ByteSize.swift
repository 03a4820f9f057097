/// A number of bytes as people write it: digits and a unit of powers of 1,024.
package enum ByteSize {
    /// The units, the largest first.
    private static let units: [(letter: Character, shift: UInt64)] = [
        ("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10),
    ]

    /// How a size is written, for a sentence that refuses one.
    package static let forms = "a number of bytes, or one with K, M, G or T behind it, such as 512M"

    /// Reads a size: `4096`, `10K`, `10KiB` and `10k` alike, up to P.
    ///
    /// - Parameter text: What was written.
    /// - Returns: The bytes; `nil` when it is no size, or one of more than 64 bits.
    package static func bytes(_ text: some StringProtocol) -> UInt64? {
        var digits = text[...]
        var shift: UInt64 = 0
        if digits.uppercased().hasSuffix("IB"), digits.count > 3 { digits = digits.dropLast(2) }
        if let last = digits.last?.uppercased(),
            let unit = units.first(where: { String($0.letter) == last })
        {
            shift = unit.shift
            digits = digits.dropLast()
        } else if digits.endIndex != text.endIndex {
            return nil
        }
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), let number = UInt64(digits)
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// The number in the largest unit that it is a whole number of; ``bytes(_:)`` reads it back.
    package static func text(_ bytes: UInt64) -> String {
        for unit in units where bytes > 0 && bytes.trailingZeroBitCount >= Int(unit.shift) {
            return "\(bytes >> unit.shift)\(unit.letter)"
        }
        return "\(bytes)"
    }
}
