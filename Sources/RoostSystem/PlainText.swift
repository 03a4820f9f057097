/// Text from a peer, a file or a guest, as a terminal or a log may show it.
package enum PlainText {
    /// The text in one line: control characters, ends of lines among them, become U+FFFD.
    ///
    /// - Parameter text: The text.
    /// - Returns: What may be shown.
    package static func of(_ text: String) -> String {
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control
            shown.append(isControl ? "\u{fffd}" : scalar)
        }
        return String(shown)
    }
}
