import Testing

@testable import RoostHost

@Suite struct TextTableTests {
    @Test("text stands left, numbers right, and no cell is empty")
    func alignment() {
        let rows = [
            ["name", "size", "state", "rate"],
            ["web1", "1.00 GiB", "", "5"],
            ["a", "512 B", "connected", "1000"],
            ["lost", "-", "gone", ""],
        ]
        #expect(
            TextTable.text(rows) == """
                name      size  state      rate
                web1  1.00 GiB  -             5
                a        512 B  connected  1000
                lost         -  gone          -
                """)
    }

    @Test("a column of numbers with a word among them is one of numbers")
    func majority() {
        let rows = [["what", "1"], ["by", "shadow"], ["time", "1.5 s"], ["bytes", "12 KiB"]]
        #expect(
            TextTable.text(rows) == """
                what        1
                by     shadow
                time    1.5 s
                bytes  12 KiB
                """)
    }

    @Test("no rows, and a head alone")
    func edges() {
        #expect(TextTable.text([]) == "")
        #expect(TextTable.text([["a", ""]]) == "a  -")
    }

    @Test("a cell cannot break out of its row")
    func control() {
        #expect(TextTable.text([["a"], ["b\nc\u{1b}"]]) == "a\nb\u{fffd}c\u{fffd}")
    }

    @Test(
        "numbers with a unit, a second number or a remark are numbers",
        arguments: [
            "0", "12", "-3", "+4", "1.5", "<1", "5 %", "5%", "1.00 GiB", "512 MiB/s", "10 ms",
            "12/1056", "3 (12 KiB)", "3 ms (2 %)", "2 min 10 s", "1 h 5 min", "5 min",
        ])
    func quantities(cell: String) {
        #expect(TextTable.isQuantity(cell))
    }

    @Test(
        "addresses, names and versions are text",
        arguments: [
            "", "-", "?", "web1", "10.0.0.1", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::1", "::1",
            "52:54:00:12:34:56", "1.2.13", "1a2b3c", "10.0.0.1 port 3", "xvda", "1-2",
        ])
    func texts(cell: String) {
        #expect(!TextTable.isQuantity(cell))
    }
}
