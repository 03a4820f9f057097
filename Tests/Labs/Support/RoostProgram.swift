import Foundation
package import RoostMigration

/// The `roost` binary that laboratories run.
package enum RoostProgram {
    /// Finds the binary: what ROOST_BINARY names, or beside the program that asks.
    ///
    /// - Throws: `LabError` that says how to make one.
    package static func locate() throws -> String {
        if let named = ProcessInfo.processInfo.environment["ROOST_BINARY"] {
            guard FileManager.default.isExecutableFile(atPath: named) else {
                throw LabError("ROOST_BINARY names \(named), which cannot be run")
            }
            return URL(fileURLWithPath: named).path
        }
        let me = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = URL(fileURLWithPath: me).deletingLastPathComponent()
            .appendingPathComponent("roost").path
        guard FileManager.default.isExecutableFile(atPath: beside) else {
            throw LabError(
                "there is no roost at \(beside): run swift build --product roost, and name what it "
                    + "made in ROOST_BINARY")
        }
        return beside
    }

    /// The folder in which the program that asks lies, and beside it what was built with it.
    ///
    /// - Throws: What reading `/proc/self/exe` throws.
    package static func folder() throws -> String {
        let me = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(fileURLWithPath: me).deletingLastPathComponent().path
    }

    /// Runs the binary.
    ///
    /// - Parameters:
    ///   - arguments: Its arguments.
    ///   - fileByteCountLimit: The longest file that it may write (RLIMIT_FSIZE).
    /// - Returns: The process.
    /// - Throws: `LabError` when there is none.
    package static func start(
        _ arguments: [String], fileByteCountLimit: Int? = nil
    ) throws -> ChildProcess {
        let name = "roost " + arguments.prefix(2).joined(separator: " ")
        guard let fileByteCountLimit else {
            return try ChildProcess(locate(), arguments, name: name)
        }
        return try ChildProcess(
            "/usr/bin/prlimit", ["--fsize=\(fileByteCountLimit)", locate()] + arguments,
            name: name)
    }
}

extension ChildProcess {
    /// What it wrote to standard output and standard error.
    package var text: String { lines.map(\.text).joined(separator: "\n") }

    /// What it wrote to standard output.
    package var output: String {
        lines.filter { !$0.isError }.map(\.text).joined(separator: "\n")
    }

    /// What it wrote to standard output, read as JSON.
    package func json() throws -> JSONValue {
        do {
            return try JSONValue(json: output.utf8)
        } catch {
            throw LabError("\(name) printed no JSON: \(text)")
        }
    }

    /// Waits for its end, which must be a success.
    ///
    /// - Throws: `LabError` with what it wrote.
    package func succeed(within limit: Duration = defaultLimit) async throws {
        let status = try await exit(within: limit)
        guard status == 0 else { throw LabError("\(name) ended with \(status):\n\(text)") }
    }
}
