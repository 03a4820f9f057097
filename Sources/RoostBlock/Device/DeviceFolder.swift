internal import RoostHypervisor

/// A folder of a device in the store, one end's or the other's.
struct DeviceFolder<DeviceStore: Store>: Sendable {
    let store: DeviceStore
    let path: StorePath

    /// A node of the folder.
    func node(_ key: String) throws(BlockError) -> StorePath {
        try BlockError.asking { () throws(HypervisorError) in try StorePath("\(path)/\(key)") }
    }

    /// All the folder's values by their keys, those of the queues' folders included.
    ///
    /// A node that is not there, or no text, is left out: who needs it says so by name.
    func values(_ keys: [String]) async throws(HypervisorError) -> [String: String] {
        var values: [String: String] = [:]
        for key in keys {
            let path = try StorePath("\(path)/\(key)")
            do throws(HypervisorError) {
                values[key] = try await store.readString(path)
            } catch {
                guard error.saysNodeIsGone || error.kind == .malformed else { throw error }
            }
        }
        return values
    }

    /// Every value of the folder, and of the folders in it.
    func all() async throws(HypervisorError) -> [String: String] {
        var keys: [String] = []
        for name in try await names(path) {
            let inner = try await names(try StorePath("\(path)/\(name)"))
            keys.append(name)
            keys += inner.map { "\(name)/\($0)" }
        }
        return try await values(keys)
    }

    /// The names in a folder; none when it is gone.
    private func names(_ path: StorePath) async throws(HypervisorError) -> [String] {
        do throws(HypervisorError) {
            return try await store.directory(path, in: nil)
        } catch {
            guard error.saysNodeIsGone else { throw error }
            return []
        }
    }

    /// What is seen of the folder's state; `nil` when the store cannot say.
    func observeState() async throws(HypervisorError) -> ObservedState {
        let path = try StorePath("\(path)/state")
        do throws(HypervisorError) {
            let value = try await store.read(path, in: nil)
            return ObservedState.observing(.success(value)) ?? .state(.unknown)
        } catch {
            guard let seen = ObservedState.observing(.failure(error)) else { throw error }
            return seen
        }
    }

    /// Writes keys in one transaction, unless the folder is gone.
    ///
    /// Keys that are not to be there afterwards are removed first. The answer is whether the folder
    /// was there.
    @discardableResult
    func publish(
        _ entries: [StoreEntry], removing removed: [String] = []
    ) async throws(HypervisorError) -> Bool {
        let state = try StorePath("\(path)/state")
        return try await store.transaction { (transaction) throws(HypervisorError) in
            guard try await store.exists(state, in: transaction) else { return false }
            let present = Set(try await store.directory(path, in: transaction))
            for key in removed where present.contains(key) {
                try await store.remove(try StorePath("\(path)/\(key)"), in: transaction)
            }
            for entry in entries {
                try await store.writeString(
                    entry.value, to: try StorePath("\(path)/\(entry.key)"), in: transaction)
            }
            return true
        }
    }

    /// Writes a sentence to the error node of a domain's end, where tools look for it.
    func report(_ sentence: String, by domain: DomainID) async {
        let relative = path.text.split(separator: "/").dropFirst(3).joined(separator: "/")
        // A domain whose quota is used up, or that is gone, has the log only.
        guard let node = try? StorePath("/local/domain/\(domain)/error/\(relative)/error") else {
            return
        }
        try? await store.writeString(String(sentence.prefix(1000)), to: node)
    }
}
