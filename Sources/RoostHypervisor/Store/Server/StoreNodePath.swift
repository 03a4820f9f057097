/// Where a node of the store lies, from the root.
struct StoreNodePath: Hashable, Sendable {
    /// The path in full; `/` is the root.
    let text: String
    /// The names on the way; none for the root.
    let components: [String]

    /// How deep a node may lie.
    ///
    /// Trees are walked by recursion, so a guest must not choose how deep; xenstored knows no such
    /// limit, and no driver or tool comes near this one.
    static let maximumDepth = 128

    static let root = StoreNodePath(components: [])

    init(components: [String]) {
        self.components = components
        text = components.isEmpty ? "/" : components.reduce(into: "") { $0 += "/" + $1 }
    }

    /// Reads a path as a client has sent it, without its NUL.
    ///
    /// - Parameters:
    ///   - bytes: The path; one without a leading slash lies in the domain's own folder.
    ///   - domain: The client's domain.
    ///
    /// Answers `nil` for one that is not well formed, too long or too deep.
    init?(_ bytes: ArraySlice<UInt8>, of domain: DomainID) {
        guard let path = try? StorePath(String(decoding: bytes, as: UTF8.self)) else { return nil }
        self.init(path, of: domain)
    }

    /// Makes a checked path absolute.
    ///
    /// Answers `nil` for one that is too deep, or names no node but a special event.
    init?(_ path: StorePath, of domain: DomainID) {
        guard !path.text.hasPrefix("@") else { return nil }
        let isRelative = !path.text.hasPrefix("/")
        var components = isRelative ? ["local", "domain", "\(domain)"] : []
        for component in path.text.utf8.split(separator: UInt8(ascii: "/")) {
            components.append(String(Substring(component)))
        }
        guard components.count <= Self.maximumDepth else { return nil }
        self.components = components
        text = isRelative ? Self.prefix(of: domain) + path.text : path.text
    }

    /// What stands before a path that is relative to a domain's folder.
    static func prefix(of domain: DomainID) -> String { "/local/domain/\(domain)/" }

    static func == (left: Self, right: Self) -> Bool { left.text == right.text }

    func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }

    /// The path of an ancestor, or of the node itself.
    ///
    /// - Precondition: `depth` is at most that of the node.
    func ancestor(at depth: Int) -> StoreNodePath {
        depth == components.count ? self : StoreNodePath(components: Array(components[..<depth]))
    }

    /// The path of a child.
    func child(_ name: String) -> StoreNodePath {
        StoreNodePath(components: components + [name])
    }

    /// The path of the node above; `nil` for the root.
    var parent: StoreNodePath? {
        components.isEmpty ? nil : ancestor(at: components.count - 1)
    }
}
