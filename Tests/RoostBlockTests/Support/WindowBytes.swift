import RoostMemory

/// Bytes of a window as arrays, for tests; places and lengths are multiples of 4.
extension PageWindow {
    func array(at offset: Int, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for at in stride(from: offset, to: offset + count, by: 4) {
            let word = loadRelaxed(at: at)
            for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) }
        }
        return bytes
    }

    func put(_ bytes: [UInt8], at offset: Int) {
        for at in stride(from: 0, to: bytes.count, by: 4) {
            var word: UInt32 = 0
            for index in 0..<4 { word |= UInt32(bytes[at + index]) << (8 * UInt32(index)) }
            storeRelaxed(word, at: offset + at)
        }
    }
}
