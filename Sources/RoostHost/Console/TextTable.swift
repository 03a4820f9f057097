internal import RoostSystem

/// A table for a terminal.
///
/// Columns of numbers stand to the right, columns of text to the left, and no cell is empty.
public enum TextTable {
    /// What stands where there is nothing to say.
    public static let nothing = "-"

    /// A table's text.
    ///
    /// - Parameter rows: The rows, of as many cells each; the first is the head.
    /// - Returns: The lines, without an end of line behind the last.
    public static func text(_ rows: [[String]]) -> String {
        let rows = rows.map { $0.map(cell) }
        guard let head = rows.first else { return "" }
        let columns = head.indices.map { column in rows.map { $0[column] } }
        let widths = columns.map { $0.map(\.count).max() ?? 0 }
        let areNumbers = columns.map { isNumeric($0.dropFirst()) }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let pad = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                line += areNumbers[column] ? pad + cell : cell + pad
            }
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }

    private static func cell(_ text: String) -> String {
        text.isEmpty ? nothing : PlainText.of(text)
    }

    /// Whether a column's cells are numbers: more of them than are text.
    private static func isNumeric(_ cells: ArraySlice<String>) -> Bool {
        let told = cells.filter { $0 != nothing }
        return told.count(where: isQuantity) * 2 > told.count
    }

    /// Whether a cell is a number, with a unit, a second number or a remark behind it.
    ///
    /// An address, a prefix, a version or a name that begins with a digit is text.
    static func isQuantity(_ cell: String) -> Bool {
        var rest = cell[...]
        if let first = rest.first, "<>~≈+-".contains(first) { rest.removeFirst() }
        rest = rest.drop { $0 == " " }
        guard number(&rest) else { return false }
        if rest.first == "/" {
            rest.removeFirst()
            guard number(&rest) else { return false }
        }
        if rest.first == " " { rest.removeFirst() }
        // A unit: letters, per cent, per something; a remark stands in brackets.
        let unit = rest.prefix { $0 != " " }
        guard unit.first != "(" else { return true }
        rest = rest.dropFirst(unit.count)
        return unit.allSatisfy { $0.isLetter || $0 == "%" || $0 == "/" }
            && unit.first.map { $0.isLetter || $0 == "%" } ?? true && unit.count <= 7
            && (rest.isEmpty || rest.hasPrefix(" (") || isQuantity(String(rest.dropFirst())))
    }

    /// Takes digits and at most one point among them.
    private static func number(_ rest: inout Substring) -> Bool {
        func digits(_ rest: inout Substring) -> Bool {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            return !digits.isEmpty
        }
        guard digits(&rest) else { return false }
        guard rest.first == "." else { return true }
        rest.removeFirst()
        return digits(&rest)
    }
}
