/// A configuration file's text, to tell in which line something stands.
struct ConfigurationText {
    /// The header of a table and which of those of its name it is, from 0.
    struct Header: Equatable {
        let name: String
        let index: Int
    }

    /// The file's path.
    let path: String
    private let lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// A refusal of something in the file.
    ///
    /// - Parameters:
    ///   - header: The table's header; nil for what stands before all headers.
    ///   - key: Its key; nil for the table itself.
    ///   - place: What it is called.
    ///   - reason: What is wrong and what to do.
    /// - Returns: The error to throw.
    func refusal(
        _ header: Header?, _ key: String?, _ place: [String], _ reason: String
    ) -> HostError {
        let line = line(of: key, in: header).map { ":\($0)" } ?? ""
        let place = place.isEmpty ? "" : place.joined(separator: ", ") + ": "
        return HostError(.configuration, path: path, "\(path)\(line): \(place)\(reason)")
    }

    /// The line of a key, or of the header when the key is nil or is not written in a line of its
    /// own; nil when neither is found.
    func line(of key: String?, in header: Header?) -> Int? {
        var current: String?
        var counts: [String: Int] = [:]
        var found: Int?
        for (index, line) in lines.enumerated() {
            let text = line.drop { $0 == " " || $0 == "\t" }
            if text.first == "[", let name = Self.name(ofHeader: text) {
                // A table within stands under the last one of its parent.
                let outer = name.split(separator: ".").first.map(String.init) ?? name
                if outer == name { counts[name, default: -1] += 1 }
                let number = max(counts[outer] ?? 0, 0)
                current = nil
                if let header, header.name == name, header.index == number {
                    current = name
                    found = index + 1
                }
            } else if let key, current != nil || (header == nil && counts.isEmpty),
                Self.key(of: text) == key
            {
                return index + 1
            }
        }
        return found
    }

    /// `port` of `[[port]]`, `namespace.limits` of `[namespace.limits]`.
    private static func name(ofHeader text: Substring) -> String? {
        guard let end = text.firstIndex(of: "]") else { return nil }
        return text[..<end].filter { $0 != "[" && $0 != " " && $0 != "\t" }
    }

    /// What stands before the equals sign.
    private static func key(of text: Substring) -> String? {
        guard let end = text.firstIndex(of: "=") else { return nil }
        return text[..<end].filter { $0 != " " && $0 != "\t" && $0 != "\"" }
    }
}
