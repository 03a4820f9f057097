/// What a move asks of a source by its monitor.
extension QMPClient {
    /// Whether the source has let go of its guest: its migration is complete (`query-migrate`).
    ///
    /// Shortly after the stream's end it may still be at it. One that cannot be asked has not said so.
    package func hasCompletedMigration() async -> Bool {
        let deadline = ContinuousClock.now + GuestMove.settleTimeout
        while ContinuousClock.now < deadline {
            guard let status = try? await execute("query-migrate")["status"]?.string else {
                return false
            }
            switch status {
            case "completed": return true
            case "none", "failed", "cancelled", "cancelling": return false
            default: try? await Task.sleep(for: GuestMove.settleInterval)
            }
        }
        return false
    }

    /// Lets a guest that stands still go on (`cont`).
    ///
    /// - Throws: `MigrationError` of kind `peer` or `transfer`.
    package func continueGuest() async throws(MigrationError) {
        try await execute("cont")
    }
}
