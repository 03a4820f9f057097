import RoostSystem
import Testing

@Suite struct ByteSizeTests {
    @Test(
        "A size is digits and a unit of powers of 1,024",
        arguments: [
            ("0", 0), ("1", 1), ("4096", 4096), ("10K", 10 << 10), ("10k", 10 << 10),
            ("10KiB", 10 << 10), ("10kib", 10 << 10), ("10MiB", 10 << 20), ("3G", 3 << 30),
            ("3GiB", 3 << 30), ("1T", 1 << 40), ("2P", 2 << 50),
            ("18446744073709551615", UInt64.max), ("16383P", 16383 << 50),
        ] as [(String, UInt64)])
    func sizes(text: String, bytes: UInt64) {
        #expect(ByteSize.bytes(text) == bytes)
        #expect(ByteSize.bytes(ByteSize.text(bytes)) == bytes)
    }

    @Test(
        "What is no size is refused",
        arguments: [
            "", "K", "KiB", "iB", "10iB", "+1", "-1", "1.5G", "10MB", "10B", "10 M", "1KK", "0x10",
            "M10", "16384P", "18446744073709551616", "10Ki", "10ib", "١",
        ])
    func refusals(text: String) {
        #expect(ByteSize.bytes(text) == nil)
    }

    @Test("A size is written in its largest whole unit")
    func text() {
        #expect(ByteSize.text(0) == "0")
        #expect(ByteSize.text(1023) == "1023")
        #expect(ByteSize.text(1536) == "1536")
        #expect(ByteSize.text(1 << 20) == "1M")
        #expect(ByteSize.text(1_074_790_400) == "1025M")
    }
}
