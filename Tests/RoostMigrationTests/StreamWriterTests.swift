import RoostMemory
import RoostMigration
import StreamSupport
import Testing

/// What is written is what QEMU writes, byte for byte (MIG-12).
@Suite struct StreamWriterTests {
    /// Every sound recording: MULTIFD_FLUSH, addresses in the block list, no footers, no
    /// CONFIGURATION and old records out of order included.
    @Test(arguments: StreamFixtures.sound)
    func `MIG-12 a recording is written again as it was`(file: String) throws {
        let bytes = try StreamFixtures.bytes(file)
        var echo = Echo()
        try read(bytes, into: &echo)
        let output = echo.output
        #expect(output == bytes, "first difference at \(difference(output, bytes))")
    }

    private func difference(_ left: [UInt8], _ right: [UInt8]) -> Int {
        zip(left, right).enumerated().first { $1.0 != $1.1 }?.offset ?? min(left.count, right.count)
    }

    @Test func `a fill byte is written as it is`() throws {
        var stream = try StreamEdit("7.2-q35-paused.stream")
        stream.overwrite(stream.body(of: stream.first(.zero), count: 1), [0x5a])
        var echo = Echo()
        try read(stream.bytes, into: &echo)
        #expect(echo.output == stream.bytes)
    }

    @Test func `a long list is carried out entry by entry`() throws {
        let blocks = (0..<2048).map {
            RAMBlockDescription(
                name: String(repeating: "n", count: 250) + "\($0)",
                usedByteCount: UInt64(pageByteCount))
        }
        var writer = StreamWriter(capacity: StreamWriter.longestItem)
        var carried = 0
        writer.blocks(blocks) { (queue: inout ByteQueue) in
            carried += queue.count
            queue.removeAll()
        }
        let expected = blocks.reduce(8) { $0 + 9 + $1.name.utf8.count }
        #expect(carried + writer.output.count == expected)
    }

    @Test func `opaque bytes may be longer than the output`() {
        let bytes = [UInt8](repeating: 7, count: 1_000_000)
        var writer = StreamWriter(capacity: StreamWriter.longestItem)
        var carried = 0
        writer.opaque(unsafe bytes.span.bytes) { (queue: inout ByteQueue) in
            carried += queue.count
            queue.removeAll()
        }
        #expect(carried + writer.output.count == bytes.count)
    }

    // MARK: What only a mistake of the caller asks for

    @Test func `the output holds at least one item`() async {
        await #expect(processExitsWith: .failure) { _ = StreamWriter(capacity: 1024) }
    }

    @Test func `a page is 4,096 bytes`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 4096)]) { _ in }
            let half = [UInt8](repeating: 0, count: 2048)
            writer.plainPage(block: 0, offset: 0, unsafe half.span.bytes)
        }
    }

    @Test func `a page begins at a whole number of pages`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 4096)]) { _ in }
            writer.zeroPage(block: 0, offset: 12)
        }
    }

    @Test func `a page belongs to a block of the list`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 4096)]) { _ in }
            writer.zeroPage(block: 1, offset: 0)
        }
    }

    @Test func `a delta is at most a page`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 4096)]) { _ in }
            let long = [UInt8](repeating: 0, count: 4097)
            writer.deltaPage(block: 0, offset: 0, unsafe long.span.bytes)
        }
    }

    @Test func `a compressed page is at most zlib's bound`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 4096)]) { _ in }
            let long = [UInt8](repeating: 0, count: 4111)
            writer.compressedPage(block: 0, offset: 0, unsafe long.span.bytes)
        }
    }

    @Test(arguments: [0, 256])
    func `a block's name is 1 to 255 bytes`(count: Int) async {
        await #expect(processExitsWith: .failure) { [count = count as Int] in
            var writer = StreamWriter()
            let name = String(repeating: "n", count: count)
            writer.blocks([RAMBlockDescription(name: name, usedByteCount: 4096)]) { _ in }
        }
    }

    @Test func `a block is whole pages`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            writer.blocks([RAMBlockDescription(name: "a", usedByteCount: 100)]) { _ in }
        }
    }

    @Test func `a command's payload is at most 65,535 bytes`() async {
        await #expect(processExitsWith: .failure) {
            var writer = StreamWriter()
            let long = [UInt8](repeating: 0, count: 65_536)
            writer.command(.ping, unsafe long.span.bytes)
        }
    }
}
