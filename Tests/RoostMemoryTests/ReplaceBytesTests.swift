import RoostMemory
import Testing

/// Bytes copied into the middle of others.
@Suite("Spans: replacing some of the bytes")
struct ReplaceBytesTests {
    @Test(
        "bytes go to their place, and their neighbours stay",
        arguments: [(0, 0), (8, 0), (0, 8), (3, 2), (7, 1)])
    func places(offset: Int, count: Int) throws {
        var region = try MappedRegion.anonymous(byteCount: pageByteCount)
        let source = (0..<count).map { UInt8($0 + 1) }
        var bytes = region.mutableBytes
        bytes.fill(with: 0xEE)
        bytes.replaceBytes(at: 4088 + offset, with: unsafe source.span.bytes)
        var wanted = [UInt8](repeating: 0xEE, count: pageByteCount)
        wanted.replaceSubrange(4088 + offset..<4088 + offset + count, with: source)
        let found = (0..<pageByteCount).map { region.bytes.loadBigEndian(at: $0, as: UInt8.self) }
        #expect(found == wanted)
    }

    @Test("bytes that do not fit are our own mistake", arguments: [(-1, 1), (4096, 1), (4090, 7)])
    func doesNotFit(offset: Int, count: Int) async {
        await #expect(processExitsWith: .failure) {
            [offset = offset as Int, count = count as Int] in
            var region = try MappedRegion.anonymous(byteCount: pageByteCount)
            var bytes = region.mutableBytes
            let source = [UInt8](repeating: 1, count: count)
            bytes.replaceBytes(at: offset, with: unsafe source.span.bytes)
        }
    }
}
