import Foundation

/// The middle of some measurements and how far they lie apart.
struct Spread {
    let sorted: [Double]

    init(_ values: [Double]) {
        sorted = values.sorted()
    }

    var median: Double { sorted[sorted.count / 2] }
    var maximum: Double { sorted[sorted.count - 1] }

    /// Half the distance between the quartiles, in percent of the median.
    var percentage: Double {
        let quartiles = sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]
        return median > 0 ? quartiles / 2 / median * 100 : 0
    }

    /// The median and the spread, as the tables show them.
    func text(_ format: String) -> String {
        String(format: "\(format) ± %.0f %%", median, percentage)
    }
}

extension Duration {
    /// The time in seconds.
    var seconds: Double { self / .seconds(1) }
}

/// Prints a row of a table.
func row(_ cells: [String]) {
    say("| " + cells.joined(separator: " | ") + " |")
}

/// Prints the head of a table.
func head(_ cells: [String]) {
    row(cells)
    say("|" + String(repeating: "---|", count: cells.count))
}

/// A number with so many digits behind the point.
func decimal(_ value: Double, _ digits: Int = 2) -> String {
    String(format: "%.\(digits)f", value)
}
