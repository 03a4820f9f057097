import RoostMemory
import Testing
import TestSupport

@Suite struct PageKernelsTests {
    @Test(arguments: [0, 256, 512, 4096, 65536])
    func `zeros are zero`(byteCount: Int) {
        #expect(isZero([UInt8](repeating: 0, count: byteCount)))
    }

    @Test(arguments: [0, 1, 7, 8, 255, 256, 257, 2048, 4095])
    func `a page with one byte set is not zero`(offset: Int) {
        for bit in 0..<8 {
            var page = PageContents.zero
            page[offset] = 1 << bit
            #expect(!isZero(page))
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `the zero test says what a byte by byte test says`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var bytes = [UInt8](repeating: 0, count: 256 * Int.random(in: 0...20, using: &random))
        for _ in 0..<Int.random(in: 0...2, using: &random) where !bytes.isEmpty {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                in: 0...255, using: &random)
        }
        #expect(isZero(bytes) == bytes.allSatisfy { $0 == 0 })
    }

    @Test func `the zero test refuses a length that is not whole steps`() async {
        await #expect(processExitsWith: .failure) {
            let bytes = [UInt8](repeating: 0, count: 255)
            _ = unsafe bytes.span.bytes.isZero
        }
    }

    @Test func `integers are read with the most significant byte first`() {
        let bytes: [UInt8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x11]
        let span = unsafe bytes.span.bytes
        let byte = span.loadBigEndian(at: 8, as: UInt8.self)
        let word = span.loadBigEndian(at: 1, as: UInt16.self)
        let long = span.loadBigEndian(at: 1, as: UInt64.self)
        #expect(byte == 0x11)
        #expect(word == 0x2345)
        #expect(long == 0x2345_6789_abcd_ef11)
    }

    @Test(arguments: [-1, 2, 9])
    func `an integer outside the span is refused`(offset: Int) async {
        await #expect(processExitsWith: .failure) { [offset = offset as Int] in
            let bytes = [UInt8](repeating: 0, count: 9)
            _ = unsafe bytes.span.bytes.loadBigEndian(at: offset, as: UInt64.self)
        }
    }

    @Test func `spans are equal when their bytes and lengths are`() {
        #expect(isEqual([], []))
        #expect(isEqual([1, 2, 3], [1, 2, 3]))
        #expect(!isEqual([1, 2, 3], [1, 2, 4]))
        #expect(!isEqual([1, 2, 3], [1, 2]))
        #expect(!isEqual([], [1]))
    }

    @Test func `a span is replaced as a whole and filled`() {
        var bytes: [UInt8] = [1, 2, 3]
        let source: [UInt8] = [4, 5, 6]
        unsafe replaceAll(&bytes, with: source.span.bytes)
        #expect(bytes == source)
        fill(&bytes, with: 7)
        #expect(bytes == [7, 7, 7])
    }

    @Test func `a span is not replaced by one of another length`() async {
        await #expect(processExitsWith: .failure) {
            var bytes: [UInt8] = [1, 2, 3]
            let source: [UInt8] = [4, 5]
            unsafe replaceAll(&bytes, with: source.span.bytes)
        }
    }

    private func isZero(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.span.bytes.isZero
    }

    private func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        unsafe left.span.bytes.isEqual(to: right.span.bytes)
    }
}

private func replaceAll(_ bytes: inout [UInt8], with source: RawSpan) {
    var target = bytes.mutableSpan
    var raw = unsafe target.mutableBytes
    raw.replaceAll(with: source)
}

private func fill(_ bytes: inout [UInt8], with byte: UInt8) {
    var target = bytes.mutableSpan
    var raw = unsafe target.mutableBytes
    raw.fill(with: byte)
}
