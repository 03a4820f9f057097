internal import RoostMemory

/// What names one move at both of its ends, so that nothing is taken for an answer about another.
package struct MoveSession: Sendable, Hashable, CustomStringConvertible {
    /// The length of a number on the wire and in journals, in bytes.
    static let byteCount = 16

    /// Two words, random.
    let high: UInt64
    let low: UInt64

    /// Takes a number that has not been used before: 128 random bits.
    package init() {
        high = .random(in: .min ... .max)
        low = .random(in: .min ... .max)
    }

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads a number as it is shown: 32 hexadecimal digits.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.dropFirst(16), radix: 16), text.first?.isHexDigit == true,
            text.dropFirst(16).first?.isHexDigit == true
        else { return nil }
        (self.high, self.low) = (high, low)
    }

    init?(_ cursor: inout SpanCursor) {
        guard let high = cursor.read(UInt64.self), let low = cursor.read(UInt64.self) else {
            return nil
        }
        (self.high, self.low) = (high, low)
    }

    /// The number as 32 hexadecimal digits.
    package var description: String {
        [high, low].map { word in
            let digits = hex(word)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}

extension ByteQueue {
    mutating func append(_ session: MoveSession) {
        append(bigEndian: session.high)
        append(bigEndian: session.low)
    }
}
