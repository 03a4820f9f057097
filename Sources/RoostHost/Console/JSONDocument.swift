internal import FoundationEssentials

/// What `--json` prints: an object whose first facts are the format's version and its kind.
///
/// The kinds are those of the schemas in docs/schemas.
public enum JSONDocument {
    /// The version of all documents' formats.
    public static let version = 1

    /// A document over several lines, its own keys sorted.
    ///
    /// - Parameters:
    ///   - value: What it says.
    ///   - kind: The document's kind, such as `disk.list`.
    /// - Returns: The text, without an end of line.
    /// - Throws: What encoding the value throws.
    /// - Precondition: The value is encoded as an object: a list stands under a key.
    public static func text(_ value: some Encodable, as kind: String) throws -> String {
        try text(value, kind, [.prettyPrinted], open: "{\n  ", separator: ",\n  ", colon: " : ")
    }

    /// A document in one line.
    ///
    /// - Parameters:
    ///   - value: What it says.
    ///   - kind: The document's kind.
    /// - Returns: The text, without an end of line.
    /// - Throws: What encoding the value throws.
    /// - Precondition: The value is encoded as an object: a list stands under a key.
    public static func line(_ value: some Encodable, as kind: String) throws -> String {
        try text(value, kind, [], open: "{", separator: ",", colon: ":")
    }

    /// The document of a command that failed, in one line.
    ///
    /// - Parameters:
    ///   - sentence: Why.
    ///   - exitCode: The command's exit code.
    /// - Returns: The text, without an end of line.
    public static func failure(_ sentence: String, exitCode: Int32) -> String {
        struct Failure: Encodable {
            let error: String
            let exitCode: Int32
        }
        // A text and a number are always encoded.
        return (try? line(Failure(error: sentence, exitCode: exitCode), as: "error")) ?? "{}"
    }

    private static func text(
        _ value: some Encodable, _ kind: String, _ formatting: JSONEncoder.OutputFormatting,
        open: String, separator: String, colon: String
    ) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting.union([.sortedKeys, .withoutEscapingSlashes])
        let text = String(decoding: try encoder.encode(value), as: UTF8.self)
        precondition(text.first == "{" && text.last == "}", "a document is an object")
        let head =
            open + #""version"\#(colon)\#(version)"# + separator
            + #""document"\#(colon)"\#(kind)""#
        let rest = text.dropFirst().drop { $0.isWhitespace }
        guard rest != "}" else { return head + (formatting.isEmpty ? "}" : "\n}") }
        return head + separator + rest
    }
}
