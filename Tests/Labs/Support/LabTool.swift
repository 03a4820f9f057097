import Foundation

/// The programs of the system that laboratories run.
package enum LabTool {
    /// Where a program lies: along PATH, and where the system keeps its own.
    private static func path(of name: String) -> String? {
        let words = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return (words.map(String.init) + ["/usr/bin", "/usr/sbin", "/bin", "/sbin"])
            .map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// What is missing of some programs, for a suite that skips itself; empty when all are there.
    package static func missing(_ names: String...) -> String {
        let absent = names.filter { path(of: $0) == nil }
        return absent.isEmpty
            ? "" : "missing \(absent.joined(separator: ", ")): run make packages"
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: The program as it runs.
    /// - Throws: `LabError` when there is none.
    package static func start(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        guard let path = path(of: name) else { throw LabError(missing(name)) }
        return try ChildProcess(path, arguments, name: name)
    }

    /// Runs a program to its end, which must be a success.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: What it wrote to its standard output.
    /// - Throws: `LabError` with what it wrote.
    @discardableResult
    package static func run(_ name: String, _ arguments: String...) async throws -> String {
        let child = try start(name, arguments)
        try await child.succeed()
        return child.output
    }

    /// Runs a program that is to be refused.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - arguments: Its arguments.
    /// - Returns: What it wrote.
    /// - Throws: `LabError` when it succeeds.
    package static func refusal(of name: String, _ arguments: String...) async throws -> String {
        let child = try start(name, arguments)
        guard try await child.exit() != 0 else {
            throw LabError("\(name) \(arguments) was not refused:\n\(child.text)")
        }
        return child.text
    }
}
