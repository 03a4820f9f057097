/// Why something cannot be measured.
public struct Failure: Error, CustomStringConvertible {
    /// One sentence.
    public let description: String

    /// Makes a failure.
    public init(_ description: String) {
        self.description = description
    }
}

/// Gives back the result of a C function, or throws what it failed with.
public func checked<Result: SignedInteger>(_ result: Result, _ what: String) throws -> Result {
    guard result >= 0 else { throw Failure("cannot \(what): errno \(-result)") }
    return result
}
