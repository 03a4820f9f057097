internal import RoostMemory

/// A picture of a stream's pages: one cell for some pages, coloured by how they came last.
public struct PageMap: Sendable {
    /// A cell: how its pages came, and whether one of them was sent more than once.
    private struct Cell: Sendable, Equatable {
        var kind: UInt8
        var isSentAgain: Bool
    }

    private struct Row: Sendable {
        let name: String
        let byteCount: UInt64
        let cells: [Cell]
        let pagesPerCell: Int
    }

    private static let columns = 128
    private static let cellSize = 7
    /// The most cells a block is drawn with; a cell stands for more pages in larger blocks.
    private static let cellLimit = 128 * 64
    /// The most cells of a picture, so that one of very many blocks can still be shown.
    private static let pictureLimit = 1 << 18
    private static let colours = ["#dfe7ee", "#2f6fb0", "#e08a1e", "#3a9a5b", "#ffffff"]
    private static let labels = ["zero", "plain", "xbzrle", "compressed", "not in the stream"]
    private static let neverSent: UInt8 = 4

    private let rows: [Row]
    private let rounds: Int

    init(_ inspection: StreamInspection) {
        rounds = inspection.rounds
        let limit = min(
            Self.cellLimit, max(Self.columns, Self.pictureLimit / max(1, inspection.blocks.count)))
        rows = zip(inspection.blocks, inspection.pages).map { block, pages in
            let pagesPerCell = max(1, (pages.count + limit - 1) / limit)
            return Row(
                name: block.name, byteCount: block.byteCount,
                cells: Self.cells(pages, pagesPerCell), pagesPerCell: pagesPerCell)
        }
    }

    /// What each cell shows of its pages.
    ///
    /// What is rarer than zero shows: the commonest of the other kinds, if there is one.
    private static func cells(_ pages: PageStates, _ pagesPerCell: Int) -> [Cell] {
        let count = (pages.count + pagesPerCell - 1) / pagesPerCell
        var counts = Array(repeating: SIMD4<Int32>.zero, count: count)
        var isSentAgain = Array(repeating: false, count: count)
        pages.forEachSent { index, page in
            let cell = index / pagesPerCell
            counts[cell][Int(page.lastKind)] &+= 1
            if page.timesSent > 1 { isSentAgain[cell] = true }
        }
        return zip(counts, isSentAgain).map { counts, isSentAgain in
            let telling = (1...3).max { counts[$0] < counts[$1] } ?? 1
            let kind = counts[telling] > 0 ? UInt8(telling) : counts[0] > 0 ? 0 : neverSent
            return Cell(kind: kind, isSentAgain: isSentAgain)
        }
    }

    /// The picture as SVG.
    ///
    /// - Parameter title: A line above it.
    /// - Returns: The text of an SVG document.
    public func svg(title: String) -> String {
        let width = Self.columns * Self.cellSize + 40
        var body = ""
        var y = 78
        for row in rows where !row.cells.isEmpty {
            body += text(20, y, "\(row.name)  ·  \(row.byteCount / 1024) KiB", "label")
            body += text(
                width - 20, y,
                row.pagesPerCell == 1 ? "a cell is a page" : "a cell is \(row.pagesPerCell) pages",
                "note")
            y += 8
            body += Self.cells(row, at: y)
            y += (row.cells.count + Self.columns - 1) / Self.columns * Self.cellSize + 26
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(y)" \
            viewBox="0 0 \(width) \(y)" font-family="sans-serif" font-size="12" fill="#222">
            <style>.note{text-anchor:end;fill:#777}.title{font-size:15px;font-weight:bold}</style>
            <rect width="100%" height="100%" fill="#fff"/>
            \(text(20, 26, title, "title"))\(legend())\(body)</svg>

            """
    }

    private func legend() -> String {
        var result = ""
        var x = 20
        for (colour, label) in zip(Self.colours, Self.labels) {
            result += Self.rectangle(x, 40, 10, 10, colour, border: "#999")
            result += text(x + 15, 49, label, "label")
            x += 30 + label.utf8.count * 7
        }
        result += Self.rectangle(x, 40, 10, 10, "#2f6fb0", border: "#c2185b")
        result += text(x + 15, 49, "sent again (\(rounds) rounds)", "label")
        return result
    }

    /// Runs of equal cells, so that a picture of many pages stays small.
    private static func cells(_ row: Row, at top: Int) -> String {
        var result = ""
        var index = 0
        while index < row.cells.count {
            let cell = row.cells[index]
            var end = index + 1
            while end < row.cells.count, end % columns != 0, !cell.isSentAgain,
                row.cells[end] == cell
            {
                end += 1
            }
            let x = 20 + index % columns * cellSize
            let y = top + index / columns * cellSize
            result += rectangle(
                x, y, (end - index) * cellSize - (cell.isSentAgain ? 1 : 0), cellSize - 1,
                colours[Int(cell.kind)], border: cell.isSentAgain ? "#c2185b" : nil)
            index = end
        }
        return result
    }

    private static func rectangle(
        _ x: Int, _ y: Int, _ width: Int, _ height: Int, _ fill: String, border: String?
    ) -> String {
        let stroke = border.map { " stroke=\"\($0)\"" } ?? ""
        return "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(width)\" height=\"\(height)\" "
            + "fill=\"\(fill)\"\(stroke)/>\n"
    }

    private func text(_ x: Int, _ y: Int, _ text: String, _ style: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            // XML has no way to write most control characters, and a name may hold any.
            case _ where character.unicodeScalars.contains { $0.value < 0x20 }:
                escaped += "\u{fffd}"
            default: escaped.append(character)
            }
        }
        return "<text class=\"\(style)\" x=\"\(x)\" y=\"\(y)\">\(escaped)</text>\n"
    }
}
