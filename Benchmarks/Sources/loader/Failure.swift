/// Why the loaders cannot be compared.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Gives back the result of a C function, or throws what it failed with.
func checked(_ result: Int32, _ what: String) throws -> Int32 {
    guard result >= 0 else { throw Failure("cannot \(what): errno \(-result)") }
    return result
}
