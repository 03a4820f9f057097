import ArgumentParser

/// A choice by its name on the command line.
enum Choice {
    /// Reads a choice; its refusal lists what there is.
    @Sendable static func named<Value: RawRepresentable & CaseIterable>(
        _ text: String
    ) throws -> Value where Value.RawValue == String {
        guard let choice = Value(rawValue: text) else {
            throw ValidationError("'\(text)' is none of \(names(Value.self))")
        }
        return choice
    }

    /// What there is, as a help text shows it.
    static func names<Value: RawRepresentable & CaseIterable>(
        _ type: Value.Type
    ) -> String where Value.RawValue == String {
        Value.allCases.map(\.rawValue).joined(separator: "|")
    }
}
