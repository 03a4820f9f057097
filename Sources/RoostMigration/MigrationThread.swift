internal import RoostSystem

/// Runs the blocking parts of migrations on threads of their own.
enum MigrationThread {
    /// Runs a part and waits for its end without blocking.
    ///
    /// - Parameters:
    ///   - name: What debuggers and `top -H` show; the system keeps 15 bytes.
    ///   - body: The part.
    /// - Returns: What it returned or threw; an error of kind `transfer` when no thread could be
    ///   started.
    static func run<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable () throws(MigrationError) -> Value
    ) async -> Result<Value, MigrationError> {
        do throws(SystemError) {
            return try await DedicatedThread.result(name: name, body)
        } catch {
            return .failure(MigrationError(.transfer, errno: error.errno, error.description))
        }
    }

    /// Writes the memory of a move that is complete.
    ///
    /// - Parameters:
    ///   - moved: What is so, whatever becomes of the writing.
    ///   - body: Writes it.
    /// - Throws: `MigrationError`, which says that the move itself went well.
    static func dump(
        of moved: String, _ body: @escaping @Sendable () throws(MigrationError) -> Void
    ) async throws(MigrationError) {
        guard case .failure(let failure) = await run("roost-dump", body) else { return }
        throw MigrationError(
            failure.kind, errno: failure.errno,
            "\(moved), but its memory could not be written to the dump folder: \(failure)")
    }
}
