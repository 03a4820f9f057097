internal import SystemPackage

/// What is seen of an end's `state` node.
public enum ObservedState: Equatable, Sendable {
    /// A state; ``XenbusState/unknown`` when the node is gone.
    case state(XenbusState)
    /// Something that is no state; at most 80 characters of it.
    case invalid(String)

    /// Judges what was read.
    ///
    /// Who may not read the node (EACCES) sees what who finds none does: that is how a domain
    /// looks whose nodes the tool stack has taken away.
    ///
    /// - Parameter value: The value, or why it could not be read.
    /// - Returns: What was seen; `nil` when the failure says nothing about the node.
    public static func observing(
        _ value: Result<[UInt8], HypervisorError>
    ) -> ObservedState? {
        switch value {
        case .success(let bytes):
            guard let number = Int(decimal: bytes), let state = XenbusState(rawValue: number) else {
                return .invalid(String(decoding: bytes.prefix(80), as: UTF8.self))
            }
            return .state(state)
        case .failure(let error):
            return error.saysNodeIsGone ? .state(.unknown) : nil
        }
    }
}

extension HypervisorError {
    /// Whether a peer's node is not there, or not any more: ENOENT and EACCES alike.
    public var saysNodeIsGone: Bool {
        kind == .store && (errno == .noSuchFileOrDirectory || errno == .permissionDenied)
    }
}

extension Store {
    /// Writes a device's own state, if its nodes are still there.
    ///
    /// In a transaction, so that a folder that the tool stack removes meanwhile does not come back.
    ///
    /// - Parameters:
    ///   - state: The new state.
    ///   - device: The device's folder.
    /// - Returns: Whether the folder was there.
    /// - Throws: `HypervisorError` as ``transaction(isolation:_:)`` does.
    public func writeState(
        _ state: XenbusState, of device: StorePath
    ) async throws(HypervisorError) -> Bool {
        let path = try StorePath("\(device)/state")
        return try await transaction { (transaction) throws(HypervisorError) in
            guard try await exists(path, in: transaction) else { return false }
            try await writeString("\(state.rawValue)", to: path, in: transaction)
            return true
        }
    }
}
