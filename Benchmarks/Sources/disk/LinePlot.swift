import Foundation

/// Lines over a common axis, written as SVG that reads on light and on dark pages.
struct LinePlot {
    /// One line: a value at each place of the axis.
    struct Line {
        var name: String
        var values: [Double]
        /// How far each lies from its value, up and down.
        var spreads: [(low: Double, high: Double)] = []
        var isDashed = false
    }

    var title: String
    var xLabel: String
    var yLabel: String
    var places: [Double]
    var lines: [Line]

    private static let size = (width: 760.0, height: 420.0)
    /// Where the axes are: left, top, right and bottom.
    private static let frame = (left: 76.0, top: 48.0, right: 540.0, bottom: 356.0)
    /// Middle tones, told apart by most eyes.
    private static let colours = [
        "#2f81d8", "#d9702b", "#2f9e68", "#a35bd0", "#c8444c", "#8a7a1f",
    ]
    private static let style = """
        .page { fill: #ffffff } .text { fill: #24292f } .grid { stroke: #24292f }
        @media (prefers-color-scheme: dark) {
          .page { fill: #0d1117 } .text { fill: #d6dde5 } .grid { stroke: #d6dde5 }
        }
        .text { font: 13px sans-serif } .title { font-size: 15px; font-weight: 600 }
        .grid { stroke-width: 1; stroke-opacity: 0.18 } .axis { stroke-opacity: 0.7 }
        .line { fill: none; stroke-width: 2.2; stroke-linejoin: round }
        """

    /// The picture.
    var svg: String {
        let (width, height) = (Int(Self.size.width), Int(Self.size.height))
        var parts = [
            #"<svg xmlns="http://www.w3.org/2000/svg" width="\#(width)" height="\#(height)" "#
                + #"viewBox="0 0 \#(width) \#(height)" role="img">"#,
            "<title>\(Self.escape(title))</title>", "<style>\(Self.style)</style>",
            #"<rect class="page" width="\#(width)" height="\#(height)"/>"#,
            text(title, 16, 26, "title"),
        ]
        parts += axes()
        for (number, line) in lines.enumerated() { parts += draw(line, number) }
        return (parts + ["</svg>\n"]).joined(separator: "\n")
    }

    // MARK: Places

    private var limit: Double {
        lines.flatMap { line in line.values + line.spreads.map(\.high) }.max() ?? 1
    }

    /// The distance of the grid's lines: 1, 2 or 5 times a power of ten, for at most eight lines.
    private var step: Double {
        let least = max(limit, 1e-9) / 8
        let power = pow(10, floor(log10(least)))
        return ([1, 2, 5].map { $0 * power }.first { $0 >= least }) ?? 10 * power
    }

    private func x(_ place: Double) -> Double {
        let last = places.max() ?? 1
        return Self.frame.left + place / last * (Self.frame.right - Self.frame.left)
    }

    private func y(_ value: Double) -> Double {
        let top = (limit / step).rounded(.up) * step
        return Self.frame.bottom - value / top * (Self.frame.bottom - Self.frame.top)
    }

    // MARK: Parts

    private func axes() -> [String] {
        let frame = Self.frame
        var parts: [String] = []
        for number in 0...Int((limit / step).rounded(.up)) {
            let value = Double(number) * step
            let kind = number == 0 ? "grid axis" : "grid"
            parts.append(rule(kind, frame.left, y(value), frame.right, y(value)))
            parts.append(text(Self.number(value), frame.left - 8, y(value) + 4, anchor: "end"))
        }
        parts.append(rule("grid axis", frame.left, frame.top, frame.left, frame.bottom))
        for place in places {
            parts.append(rule("grid axis", x(place), frame.bottom, x(place), frame.bottom + 5))
            parts.append(
                text(Self.number(place), x(place), frame.bottom + 20, anchor: "middle"))
        }
        let middle = (frame.left + frame.right) / 2
        parts.append(text(xLabel, middle, frame.bottom + 44, anchor: "middle"))
        let centre = (frame.top + frame.bottom) / 2
        parts.append(
            text(
                yLabel, 20, centre, anchor: "middle",
                more: #" transform="rotate(-90 20 \#(Self.place(centre)))""#))
        return parts
    }

    private func draw(_ line: Line, _ number: Int) -> [String] {
        let colour = Self.colours[number % Self.colours.count]
        let dashes = line.isDashed ? #" stroke-dasharray="6 4""# : ""
        let points = zip(places, line.values).map { "\(Self.place(x($0))),\(Self.place(y($1)))" }
        var parts = [
            #"<polyline class="line" stroke="\#(colour)"\#(dashes) "#
                + #"points="\#(points.joined(separator: " "))"/>"#
        ]
        for (place, spread) in zip(places, line.spreads) {
            parts.append(
                rule(
                    "line", x(place), y(spread.low), x(place), y(spread.high),
                    more: #" stroke="\#(colour)" stroke-opacity="0.5""#))
        }
        for (place, value) in zip(places, line.values) {
            parts.append(mark(number, x(place), y(value), colour))
        }
        // The legend, in the order of the last values, so that it reads beside the lines.
        let order = lines.indices.sorted {
            (lines[$0].values.last ?? 0) > (lines[$1].values.last ?? 0)
        }
        let height = Self.frame.top + 12 + 24 * Double(order.firstIndex(of: number) ?? 0)
        let left = Self.frame.right + 20
        parts.append(
            rule(
                "line", left, height, left + 26, height, more: #" stroke="\#(colour)""# + dashes))
        parts.append(mark(number, left + 13, height, colour))
        parts.append(text(line.name, left + 34, height + 4))
        return parts
    }

    /// A shape of its own for each line, besides its colour.
    private func mark(_ number: Int, _ x: Double, _ y: Double, _ colour: String) -> String {
        let (left, top) = (Self.place(x - 4), Self.place(y - 4))
        switch number % 3 {
        case 0:
            return #"<circle cx="\#(Self.place(x))" cy="\#(Self.place(y))" r="4.2" "#
                + #"fill="\#(colour)"/>"#
        case 1:
            return #"<rect x="\#(left)" y="\#(top)" width="8" height="8" fill="\#(colour)"/>"#
        default:
            return #"<path d="M\#(Self.place(x)) \#(Self.place(y - 5)) l5 9 h-10 z" "#
                + #"fill="\#(colour)"/>"#
        }
    }

    private func rule(
        _ kind: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, more: String = ""
    ) -> String {
        #"<line class="\#(kind)" x1="\#(Self.place(x1))" y1="\#(Self.place(y1))" "#
            + #"x2="\#(Self.place(x2))" y2="\#(Self.place(y2))"\#(more)/>"#
    }

    private func text(
        _ text: String, _ x: Double, _ y: Double, _ kind: String = "", anchor: String = "start",
        more: String = ""
    ) -> String {
        #"<text class="text \#(kind)" x="\#(Self.place(x))" y="\#(Self.place(y))" "#
            + #"text-anchor="\#(anchor)"\#(more)>\#(Self.escape(text))</text>"#
    }

    private static func place(_ value: Double) -> String { decimal(value, 1) }

    private static func number(_ value: Double) -> String {
        value == value.rounded() ? String(Int(value)) : String(value)
    }

    private static func escape(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;")
            .replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
    }
}
