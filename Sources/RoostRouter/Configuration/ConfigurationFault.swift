/// What is wrong in a configuration, and where.
package struct ConfigurationFault: Error, Equatable, Sendable {
    /// A part of a configuration.
    package enum Place: Equatable, Sendable {
        case router
        case namespace(String)
        /// The limits of a namespace.
        case limits(String)
        case port(String)
        /// The route of a namespace by its place among its routes.
        case route(namespace: String, index: Int)
    }

    /// The part.
    package let place: Place
    /// Which of its values, as configuration files call it.
    package let key: String?
    /// What is wrong and what to do, after "KEY: ".
    package let reason: String

    /// The part, in words.
    var placeName: String {
        switch place {
        case .router: "the router"
        case .namespace(let name): "namespace '\(name)'"
        case .limits(let name): "namespace '\(name)', limits"
        case .port(let name): "port '\(name)'"
        case .route(let namespace, let index): "route \(index + 1) of namespace '\(namespace)'"
        }
    }

    /// What is wrong as an error of the router, which knows its place too.
    func error(_ kind: RouterError.Kind = .invalidValue) -> RouterError {
        let key = key.map { ", \($0)" } ?? ""
        return RouterError(kind, "\(placeName)\(key): \(reason)", about: self)
    }

    init(_ place: Place, _ key: String?, _ reason: String) {
        self.place = place
        self.key = key
        self.reason = reason
    }
}

/// A name as namespaces and ports have it.
enum ConfigurationName {
    /// The most bytes of a name.
    static let byteLimit = 32

    /// Whether a text can be a name: letters, digits, `-`, `_` and `.`, the first a letter or digit.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "-"),
            first != UInt8(ascii: "_"), first != UInt8(ascii: "."),
            text.utf8.count <= byteLimit
        else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                || "-_.".unicodeScalars.contains(scalar)
        }
    }

    /// What a name has to be, for who chose another.
    static let rule =
        "use letters, digits, - _ and ., the first a letter or digit, at most \(byteLimit)"

    /// Names in a list that does not fill a screen.
    static func list(_ names: [String]) -> String {
        let shown = names.prefix(8).joined(separator: ", ")
        return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
    }
}
