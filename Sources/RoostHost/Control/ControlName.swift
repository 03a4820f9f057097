/// What a long-running command runs: its kind and its name, after which its socket is called.
public struct ControlName: Hashable, Sendable {
    /// What is run; the raw value is the first part of a socket's name and of its routes.
    public enum Kind: String, CaseIterable, Codable, Sendable {
        /// The backend of a disk.
        case disk
        /// A frontend with a consumer.
        case frontend
        /// The embedded hypervisor.
        case hypervisor
        /// A router.
        case net
    }

    /// The most bytes of a name: with the folder's path it has to fit a socket's 107.
    public static let maximumByteCount = 64

    /// What is run.
    public let kind: Kind
    /// Its name among those of its kind.
    public let name: String

    /// Names something that is run.
    ///
    /// - Parameters:
    ///   - kind: What it is.
    ///   - name: Letters, digits, `-`, `_` and `.`, the first a letter or digit, at most 64 bytes.
    /// - Throws: `HostError` of kind `control`.
    public init(_ kind: Kind, _ name: String) throws(HostError) {
        guard Self.isName(name) else {
            throw HostError(
                .control,
                "'\(name.prefix(Self.maximumByteCount))' cannot name a \(kind.rawValue): use "
                    + "letters, digits, - _ and ., the first a letter or digit, at most "
                    + "\(Self.maximumByteCount)")
        }
        self.kind = kind
        self.name = name
    }

    /// Reads the name of a socket's file; `nil` for files that are none of ours.
    init?(fileName: String) {
        guard fileName.hasSuffix(Self.suffix), let dash = fileName.firstIndex(of: "-"),
            let kind = Kind(rawValue: String(fileName[..<dash]))
        else { return nil }
        let name = fileName[fileName.index(after: dash)...].dropLast(Self.suffix.count)
        guard Self.isName(name) else { return nil }
        self.kind = kind
        self.name = String(name)
    }

    private static let suffix = ".sock"

    /// The name of the socket's file.
    var fileName: String { "\(kind.rawValue)-\(name)\(Self.suffix)" }

    private static func isName(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, isLetterOrDigit(first),
            text.utf8.count <= maximumByteCount
        else { return false }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || "-_.".utf8.contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}

extension ControlName: Comparable, CustomStringConvertible {
    /// The kind and the name, as in "disk web1".
    public var description: String { "\(kind.rawValue) \(name)" }

    /// Whether the left one comes first: by kind, then by name.
    public static func < (left: ControlName, right: ControlName) -> Bool {
        (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name)
    }
}
