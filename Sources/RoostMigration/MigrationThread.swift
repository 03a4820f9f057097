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
}
