/// Waits for what no event announces: looks again and again until it is so.
///
/// - Parameters:
///   - limit: How long.
///   - what: What it is, for the message.
///   - isolation: The caller's.
///   - look: Answers `nil` while it is not so.
/// - Returns: What `look` found.
/// - Throws: `LabError` when the limit is over.
package func poll<Value>(
    _ limit: Duration, _ what: String, isolation: isolated (any Actor)? = #isolation,
    _ look: () async throws -> Value?
) async throws -> Value {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while true {
        if let value = try await look() { return value }
        guard clock.now < deadline else { throw LabError("waited \(limit) for \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
