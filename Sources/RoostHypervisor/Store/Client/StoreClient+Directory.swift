internal import SystemPackage

extension StoreClient {
    /// How often a long list is begun anew since it changed meanwhile.
    private static let directoryAttempts = 16

    /// The names of a node's children, each with a NUL behind it, fetched in parts.
    func longDirectory(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [UInt8] {
        for _ in 0..<Self.directoryAttempts {
            if let names = try await directoryParts(path, in: transaction) { return names }
        }
        throw HypervisorError(
            .store, errno: .resourceBusy,
            "cannot list '\(path)': its children changed \(Self.directoryAttempts) times while "
                + "they were read; try again later")
    }

    /// Fetches all parts; `nil` when the list changed meanwhile.
    private func directoryParts(
        _ path: StorePath, in transaction: StoreTransaction?
    ) async throws(HypervisorError) -> [UInt8]? {
        var names: [UInt8] = []
        var generation: ArraySlice<UInt8>?
        while true {
            let payload = try await exchange.ask(
                .directoryPart, [UInt8](terminated: path.text, "\(names.count)"),
                in: transaction, "list '\(path)'")
            guard let end = payload.firstIndex(of: 0) else {
                throw HypervisorError(
                    .malformed,
                    "the list of '\(path)' is none: the store is broken, start it again")
            }
            let part = payload[..<end]
            guard generation.map({ $0.elementsEqual(part) }) ?? true else { return nil }
            generation = part
            var rest = payload[(end + 1)...]
            // An empty name stands behind the last one.
            let isLast = rest.isEmpty || rest.last == 0 && rest.dropLast().last ?? 0 == 0
            if isLast { rest = rest.dropLast() }
            names += rest
            if isLast { return names }
        }
    }
}
