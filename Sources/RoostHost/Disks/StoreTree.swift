public import RoostHypervisor
internal import SystemPackage

/// A part of the store as it was read: what each node holds, or why it cannot be read.
public struct StoreTree: Equatable, Sendable {
    /// What reading a node came to.
    public enum Node: Equatable, Sendable {
        /// It holds this text; what is no UTF-8 is replaced.
        case value(String)
        /// There is no such node (ENOENT).
        case missing
        /// It may not be read (EACCES): its domain is gone, or its permissions are wrong.
        case denied
        /// It could not be read for another reason, one sentence.
        case failed(String)

        /// The text, where it holds one.
        public var text: String? {
            guard case .value(let text) = self else { return nil }
            return text
        }
    }

    /// The most nodes that are read: more are not of devices.
    static let nodeLimit = 20_000
    /// How deep below a domain's folder a device's nodes lie, its queues' included.
    static let depthLimit = 6

    private var nodes: [String: Node]
    /// Who may read the states of devices, by their paths, where that could be asked.
    public var permissions: [String: StorePermissions] = [:]

    /// Takes what was read.
    ///
    /// - Parameter nodes: The nodes by their absolute paths.
    public init(_ nodes: [String: Node] = [:]) {
        self.nodes = nodes.filter { $0.value != .missing }
    }

    /// What a node came to; one that was not read counts as missing.
    public subscript(path: String) -> Node {
        get { nodes[path] ?? .missing }
        set { nodes[path] = newValue == .missing ? nil : newValue }
    }

    /// The names of what lies directly below a path, sorted.
    ///
    /// - Parameter path: An absolute path without a slash at its end.
    /// - Returns: The names.
    public func children(of path: String) -> [String] {
        let prefix = path + "/"
        var names: Set<String> = []
        for node in nodes.keys where node.hasPrefix(prefix) {
            names.insert(String(node.dropFirst(prefix.count).prefix { $0 != "/" }))
        }
        return names.sorted()
    }

    /// Whether a node or something below it was read.
    ///
    /// - Parameter path: An absolute path.
    /// - Returns: Whether there is something.
    public func exists(_ path: String) -> Bool {
        self[path] != .missing || nodes.keys.contains { $0.hasPrefix(path + "/") }
    }

    /// Reads the nodes of all disks, at both ends, from a store.
    ///
    /// - Parameter store: The store, as somebody privileged sees it.
    /// - Returns: The nodes below each domain's `device/vbd` and `backend/vbd`.
    /// - Throws: `HypervisorError` of kind `lost` when the store is gone.
    public static func read(
        from store: some Store
    ) async throws(HypervisorError) -> StoreTree {
        var tree = StoreTree()
        for domain in try await names(in: "/local/domain", of: store) ?? [] {
            let path = "/local/domain/\(domain)"
            tree[path] = .value("")
            for part in ["device/vbd", "backend/vbd"] {
                try await tree.read("\(path)/\(part)", from: store, depth: 0)
            }
        }
        return tree
    }

    private mutating func read(
        _ path: String, from store: some Store, depth: Int
    ) async throws(HypervisorError) {
        guard nodes.count < Self.nodeLimit, depth <= Self.depthLimit else { return }
        do throws(HypervisorError) {
            let bytes = try await store.read(try StorePath(path), in: nil)
            self[path] = .value(String(decoding: bytes, as: UTF8.self))
        } catch {
            switch (error.kind, error.errno) {
            case (.lost, _): throw error
            case (_, .noSuchFileOrDirectory): return
            case (_, .permissionDenied): self[path] = .denied
            default: self[path] = .failed(error.description)
            }
        }
        if path.hasSuffix("/state") {
            permissions[path] = try await Self.permissions(of: path, in: store)
        }
        for name in try await Self.names(in: path, of: store) ?? [] {
            try await read("\(path)/\(name)", from: store, depth: depth + 1)
        }
    }

    /// A node's permissions; `nil` when they cannot be read.
    private static func permissions(
        of path: String, in store: some Store
    ) async throws(HypervisorError) -> StorePermissions? {
        do throws(HypervisorError) {
            return try await store.permissions(of: try StorePath(path), in: nil)
        } catch {
            guard error.kind != .lost else { throw error }
            return nil
        }
    }

    /// The names in a folder; `nil` when it cannot be read.
    private static func names(
        in path: String, of store: some Store
    ) async throws(HypervisorError) -> [String]? {
        do throws(HypervisorError) {
            return try await store.directory(try StorePath(path), in: nil)
        } catch {
            guard error.kind != .lost else { throw error }
            return nil
        }
    }
}
