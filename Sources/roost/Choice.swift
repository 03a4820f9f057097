public import ArgumentParser
public import Logging
public import RoostBlock
public import RoostMigration
public import RoostRouter

/// A choice by its name on the command line.
enum Choice {
    /// What there is, as a help text shows it.
    static func names<Value: RawRepresentable & CaseIterable>(
        _ type: Value.Type
    ) -> String where Value.RawValue == String {
        Value.allCases.map(\.rawValue).joined(separator: "|")
    }
}

// What the engines leave to choose: the help lists the choices and shows the default.
extension GrantMode: ExpressibleByArgument {}
extension GrantOverflow: ExpressibleByArgument {}
extension GrantPolicy: ExpressibleByArgument {}
extension ImageFormatChoice: ExpressibleByArgument {}
extension MigrationDialect: ExpressibleByArgument {}
extension ThrottleKind: ExpressibleByArgument {}
extension TraceKind: ExpressibleByArgument {}
extension TrackerKind: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
