internal import SystemPackage

/// A path in xenstore, known to be well formed.
///
/// Letters, digits and `-/_@`; no doubled or trailing slash; at most 3,072 bytes from the root,
/// 2,048 relative to a domain's own folder (`xs_wire.h`: `XENSTORE_ABS_PATH_MAX`, `_REL_PATH_MAX`).
public struct StorePath: Hashable, Sendable {
    /// The path as it was written.
    public let text: String

    /// Reads a path.
    ///
    /// - Throws: `HypervisorError` of kind `malformed`.
    public init(_ text: String) throws(HypervisorError) {
        let limit = text.hasPrefix("/") ? 3072 : 2048
        guard !text.isEmpty, text.utf8.count <= limit,
            text == "/" || !text.hasSuffix("/"), !text.contains("//"),
            text.utf8.allSatisfy(Self.isAllowed)
        else {
            throw HypervisorError(
                .malformed, errno: .invalidArgument,
                "'\(text)' is no path of the store: use letters, digits, - / _ and @, at most "
                    + "\(limit) bytes, and no doubled or trailing slash")
        }
        self.text = text
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "/"),
            UInt8(ascii: "_"), UInt8(ascii: "@"):
            true
        default: false
        }
    }
}

extension StorePath: CustomStringConvertible {
    /// The path as it was written.
    public var description: String { text }
}
