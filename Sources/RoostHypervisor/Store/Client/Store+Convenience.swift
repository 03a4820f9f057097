internal import SystemPackage

/// How often a transaction is done anew, since others changed what it looked at, before it is
/// given up.
private let transactionAttempts = 32

extension Store {
    /// Reads a text; `nil` when there is no such node.
    ///
    /// - Parameters:
    ///   - path: Which.
    ///   - transaction: In which transaction, or `nil`.
    /// - Returns: The value.
    /// - Throws: `HypervisorError` as `read` does, and of kind `malformed` when the value is no
    ///   text.
    public func readString(
        _ path: StorePath, in transaction: StoreTransaction? = nil
    ) async throws(HypervisorError) -> String? {
        let value: [UInt8]
        do throws(HypervisorError) {
            value = try await read(path, in: transaction)
        } catch {
            guard error.kind == .store, error.errno == .noSuchFileOrDirectory else { throw error }
            return nil
        }
        guard let text = String(validating: value, as: UTF8.self) else {
            throw HypervisorError(
                .malformed,
                "the value of '\(path)' has bytes that are no text; have its writer correct it")
        }
        return text
    }

    /// Reads a decimal number; `nil` when there is no such node.
    ///
    /// - Parameters:
    ///   - path: Which.
    ///   - transaction: In which transaction, or `nil`.
    /// - Returns: The value.
    /// - Throws: `HypervisorError` as `read` does, and of kind `malformed` when the value is no
    ///   number.
    public func readInteger(
        _ path: StorePath, in transaction: StoreTransaction? = nil
    ) async throws(HypervisorError) -> Int? {
        guard let text = try await readString(path, in: transaction) else { return nil }
        let isNegative = text.hasPrefix("-")
        guard let number = Int(decimal: text.utf8.dropFirst(isNegative ? 1 : 0)) else {
            throw HypervisorError(
                .malformed,
                "'\(text.prefix(80))' in '\(path)' is no number; have its writer correct it")
        }
        return isNegative ? -number : number
    }

    /// Writes a text.
    ///
    /// - Parameters:
    ///   - value: The text.
    ///   - path: Where to.
    ///   - transaction: In which transaction, or `nil`.
    /// - Throws: `HypervisorError` as `write` does.
    public func writeString(
        _ value: String, to path: StorePath, in transaction: StoreTransaction? = nil
    ) async throws(HypervisorError) {
        try await write(Array(value.utf8), to: path, in: transaction)
    }

    /// Whether there is a node, as far as this domain may know.
    ///
    /// - Parameters:
    ///   - path: Which.
    ///   - transaction: In which transaction, or `nil`.
    /// - Returns: Whether there is.
    /// - Throws: `HypervisorError` as `read` does, except that there is no such node.
    public func exists(
        _ path: StorePath, in transaction: StoreTransaction? = nil
    ) async throws(HypervisorError) -> Bool {
        do throws(HypervisorError) {
            _ = try await read(path, in: transaction)
            return true
        } catch {
            guard error.kind == .store, error.errno == .noSuchFileOrDirectory else { throw error }
            return false
        }
    }

    /// Does something in a transaction, again from its start when others have been in the way.
    ///
    /// What the closure does must bear repetition. If it throws, nothing of it happens.
    ///
    /// - Parameters:
    ///   - isolation: Where the closure runs: where the caller does.
    ///   - body: What to do; at most 32 times.
    /// - Returns: What the closure returned the time that counted.
    /// - Throws: What the closure throws; `HypervisorError` of kind `store` when others were in
    ///   the way each time.
    public func transaction<Value>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (StoreTransaction) async throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        for _ in 0..<transactionAttempts {
            let transaction = try await beginTransaction()
            let value: Value
            do throws(HypervisorError) {
                value = try await body(transaction)
            } catch {
                // In a task of its own, which the end of this one does not cancel. If it fails, the
                // connection is lost and the transaction with it.
                _ = await Task { try? await endTransaction(transaction, commits: false) }.value
                throw error
            }
            if try await endTransaction(transaction, commits: true) { return value }
        }
        throw HypervisorError(
            .store, errno: .resourceTemporarilyUnavailable,
            "gave up a transaction after \(transactionAttempts) attempts: others kept changing "
                + "what it looks at; find out who writes there so often")
    }
}
