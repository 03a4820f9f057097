/// A configuration file's text, to tell in which line something stands.
struct ConfigurationText: Sendable {
    /// The header of a table and which of those of its name it is, from 0.
    struct Header: Equatable, Sendable {
        let name: String
        let index: Int
    }

    /// The file's path.
    let path: String
    private let text: String

    init(path: String, text: String) {
        self.path = path
        self.text = text
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
    ///
    /// What may stand in a table of its own may also stand in its parent, as `limits.neighbours = 16` or
    /// in the value of `limits`.
    func line(of key: String?, in header: Header?) -> Int? {
        if let line = line(ofAny: [key].compactMap { $0 }, in: header) { return line }
        guard let header, let dot = header.name.firstIndex(of: ".") else { return nil }
        let name = String(header.name[header.name.index(after: dot)...])
        return line(
            ofAny: [key.map { "\(name).\($0)" }, name].compactMap { $0 },
            in: Header(name: String(header.name[..<dot]), index: header.index))
    }

    private func line(ofAny keys: [String], in header: Header?) -> Int? {
        var current: String?
        var counts: [String: Int] = [:]
        var found: Int?
        // Of bytes: for characters, the end of a line may be one of two.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let text = line.drop { Self.isBlank($0) }
            if text.first == UInt8(ascii: "["), let name = Self.name(ofHeader: text) {
                // A table within stands under the last one of its parent.
                let outer = name.split(separator: ".").first.map(String.init) ?? name
                if outer == name { counts[name, default: -1] += 1 }
                let number = max(counts[outer] ?? 0, 0)
                current = nil
                if let header, header.name == name, header.index == number {
                    current = name
                    found = index + 1
                }
            } else if !keys.isEmpty, current != nil || (header == nil && counts.isEmpty),
                let key = Self.key(of: text), keys.contains(key)
            {
                return index + 1
            }
        }
        return found
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }

    /// `port` of `[[port]]`, `namespace.limits` of `[namespace.limits]`.
    private static func name(ofHeader text: Substring.UTF8View) -> String? {
        guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        return plain(text[..<end])
    }

    /// What stands before the equals sign.
    private static func key(of text: Substring.UTF8View) -> String? {
        guard let end = text.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        return plain(text[..<end])
    }

    /// A key without blanks, brackets and quotation marks.
    private static func plain(_ text: Substring.UTF8View) -> String {
        String(
            decoding: text.filter { !isBlank($0) && !"[\"'".utf8.contains($0) }, as: UTF8.self)
    }
}
