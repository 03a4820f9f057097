internal import Foundation

/// A program of the system that a test asks for a second opinion.
public enum CommandLineTool {
    /// A program that ended badly.
    public struct Failure: Error, CustomStringConvertible {
        /// What was run and how it ended.
        public let description: String
    }

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - name: The program, looked for along `PATH`.
    ///   - arguments: Its arguments.
    /// - Returns: What it wrote to its standard output.
    /// - Throws: ``Failure`` when it ends with another status than 0, or cannot be started.
    public static func output(of name: String, _ arguments: String...) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let output = [UInt8](try pipe.fileHandleForReading.readToEnd() ?? Data())
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                description: "\(name) \(arguments) ended with status \(process.terminationStatus)")
        }
        return output
    }

    /// A program that runs beside the test.
    public final class Running {
        private let process: Process

        fileprivate init(_ process: Process) { self.process = process }

        /// Waits until it has ended.
        public func wait() { process.waitUntilExit() }
    }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - name: The program, looked for along `PATH`.
    ///   - arguments: Its arguments.
    /// - Returns: The program as it runs.
    /// - Throws: When it cannot be started.
    public static func start(_ name: String, _ arguments: String...) throws -> Running {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardInput = FileHandle.nullDevice
        try process.run()
        return Running(process)
    }

    /// Writes a file.
    ///
    /// - Throws: What Foundation throws.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// The SHA-256 of a file, in hexadecimal.
    public static func sha256(ofFile path: String) throws -> String {
        let line = String(decoding: try output(of: "sha256sum", "--", path), as: UTF8.self)
        return String(line.prefix(64))
    }
}

/// A folder for one test's files, removed with all that is in it.
public final class TemporaryFolder: Sendable {
    /// The folder.
    public let path: String

    /// Makes an empty folder.
    public init() throws {
        path = NSTemporaryDirectory() + "roost-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    /// The path of a file in it.
    public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file and returns its path.
    public func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: self(name)))
        return self(name)
    }

    /// The bytes of a file.
    public func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: self(name))))
    }

    /// The names of what is in it, sorted.
    public var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
