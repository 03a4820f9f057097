/// The simplest store: a dictionary of paths, copied whole for each transaction.
///
/// It does not say which transactions are in conflict, but what must hold of either outcome: one
/// that has happened would have seen the same had it run all at once at its end; one that
/// has not met somebody else's change to what it looked at.
struct StoreOracle {
    /// Something that is done to the store.
    enum Step {
        case read(String)
        case list(String)
        case write(String, String)
        case remove(String)

        var path: String {
            switch self {
            case .read(let path), .list(let path), .write(let path, _), .remove(let path): path
            }
        }
    }

    private struct Transaction {
        var values: [String: String]
        var steps: [(step: Step, result: String)] = []
        /// What others have changed since its beginning.
        var othersChanged: Set<String> = []
    }

    private(set) var values: [String: String]
    private var transactions: [Int: Transaction] = [:]

    init(_ values: [String: String]) {
        self.values = values
    }

    mutating func begin(_ number: Int) {
        transactions[number] = Transaction(values: values)
    }

    /// Does something, in a transaction or (0) for everybody; answers what the store is to answer.
    mutating func perform(_ step: Step, in number: Int) -> String {
        guard transactions[number] != nil else {
            return performForAll(step)
        }
        var values = transactions[number]?.values ?? [:]
        let result = Self.perform(step, on: &values)
        transactions[number]?.values = values
        transactions[number]?.steps.append((step, result))
        return result
    }

    private mutating func performForAll(_ step: Step) -> String {
        let before = values
        let result = Self.perform(step, on: &values)
        var changed = Set(before.keys).symmetricDifference(values.keys)
        if case .write(let path, _) = step { changed.insert(path) }
        for number in transactions.keys {
            transactions[number]?.othersChanged.formUnion(changed)
        }
        return result
    }

    /// Ends a transaction.
    ///
    /// - Parameters:
    ///   - number: Which.
    ///   - hasHappened: Whether the store said so.
    /// - Returns: What is wrong with that, or `nil`.
    mutating func end(_ number: Int, hasHappened: Bool) -> String? {
        guard let ended = transactions.removeValue(forKey: number) else { return "unknown" }
        guard hasHappened else {
            let isMet = ended.othersChanged.contains { changed in
                ended.steps.contains { Self.areRelated($0.step.path, changed) }
            }
            return isMet ? nil : "refused though nobody changed anything near"
        }
        for (step, result) in ended.steps {
            let now = performForAll(step)
            guard now == result else { return "\(step) saw '\(result)' and would see '\(now)'" }
        }
        return nil
    }

    mutating func abandon(_ number: Int) {
        transactions[number] = nil
    }

    // MARK: Parts

    private static func perform(_ step: Step, on values: inout [String: String]) -> String {
        switch step {
        case .read(let path): return values[path] ?? "ENOENT"
        case .list(let path):
            guard values[path] != nil else { return "ENOENT" }
            return values.keys.filter { $0 != path && parent(of: $0) == path }.sorted()
                .map { $0.split(separator: "/").last.map(String.init) ?? "" }
                .joined(separator: " ")
        case .write(let path, let value):
            var above = parent(of: path)
            while values[above] == nil {
                values[above] = ""
                above = parent(of: above)
            }
            values[path] = value
            return "OK"
        case .remove(let path):
            guard values[path] != nil else {
                return values[parent(of: path)] == nil ? "ENOENT" : "OK"
            }
            values = values.filter { $0.key != path && !$0.key.hasPrefix(path + "/") }
            return "OK"
        }
    }

    static func parent(of path: String) -> String {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whether one path is the other, or lies above or below it.
    private static func areRelated(_ one: String, _ other: String) -> Bool {
        one == other || one.hasPrefix(other + "/") || other.hasPrefix(one + "/")
    }
}
