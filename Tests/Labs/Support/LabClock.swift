/// How long laboratories take.
package enum LabClock {
    /// Runs a laboratory and prints `lab NAME: N.N s` at its end, however it ends.
    package static func measure<Value>(
        _ name: String, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Value
    ) async rethrows -> Value {
        let clock = ContinuousClock()
        let start = clock.now
        defer {
            let tenths = Int((clock.now - start) / .milliseconds(100))
            print("lab \(name): \(tenths / 10).\(tenths % 10) s")
        }
        return try await body()
    }
}
