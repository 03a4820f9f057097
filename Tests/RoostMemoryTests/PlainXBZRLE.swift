import RoostMemory

/// XBZRLE byte by byte, as the format's description says: what the kernels are held against.
enum PlainXBZRLE {
    /// The encoding, empty for equal pages, or `nil` where the encoder gives up.
    static func encode(old: [UInt8], new: [UInt8]) -> [UInt8]? {
        var output: [UInt8] = []
        var position = 0
        while position < pageByteCount {
            guard output.count + 2 <= pageByteCount else { return nil }
            var equal = 0
            while position < pageByteCount, old[position] == new[position] {
                equal += 1
                position += 1
            }
            if position == pageByteCount { break }
            output += runLength(equal)
            guard output.count + 2 <= pageByteCount else { return nil }
            var changed: [UInt8] = []
            while position < pageByteCount, old[position] != new[position] {
                changed.append(new[position])
                position += 1
            }
            output += runLength(changed.count)
            guard output.count + changed.count <= pageByteCount else { return nil }
            output += changed
        }
        return output
    }

    /// The new page, or `nil` where the encoding is malformed.
    static func decode(_ delta: [UInt8], onto old: [UInt8]) -> [UInt8]? {
        var page = old
        var position = 0
        var rest = delta[...]
        while !rest.isEmpty {
            let first = rest.startIndex == delta.startIndex
            guard let equal = takeRunLength(&rest), equal > 0 || first else { return nil }
            position += equal
            guard position <= pageByteCount else { return nil }
            guard let differing = takeRunLength(&rest), differing > 0 else { return nil }
            guard differing <= rest.count, position + differing <= pageByteCount else {
                return nil
            }
            page.replaceSubrange(position..<position + differing, with: rest.prefix(differing))
            rest.removeFirst(differing)
            position += differing
        }
        return page
    }

    /// ULEB128 of at most 14 bits.
    static func runLength(_ count: Int) -> [UInt8] {
        count < 0x80 ? [UInt8(count)] : [UInt8(count & 0x7f | 0x80), UInt8(count >> 7)]
    }

    private static func takeRunLength(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard rest.count >= 2, let low = rest.popFirst() else { return nil }
        guard low >= 0x80 else { return Int(low) }
        guard let high = rest.popFirst(), high < 0x80 else { return nil }
        return Int(high) << 7 | Int(low & 0x7f)
    }
}
