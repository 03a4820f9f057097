import CPeers
import Foundation
import Glibc
import RoostMemory
import SystemPackage

/// A real QEMU, driven over its monitor.
public final class RealQEMU {
    /// Where the installed one is.
    public static let installed = "/usr/bin/qemu-system-x86_64"

    private let process = Process()
    private let monitor: FileDescriptor
    private var input = ByteQueue(capacity: 1 << 20)

    /// Starts a QEMU without devices or a display, its CPU emulated and stopped.
    ///
    /// - Parameters:
    ///   - binary: Its path.
    ///   - arguments: What else it is told.
    ///   - folder: Where its monitor's socket goes.
    /// - Throws: What kept it from starting.
    public init(_ binary: String, _ arguments: [String], in folder: String) throws {
        let monitorPath = "\(folder)/monitor"
        let listener = try unsafe checked(cpeers_listen(monitorPath), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments =
            [
                "-accel", "tcg", "-nodefaults", "-display", "none", "-S", "-qmp",
                "unix:\(monitorPath),server=off",
            ] + arguments
        // QEMU tells there that no description of devices follows the memory, which it accepts.
        process.standardError = FileHandle.nullDevice
        _ = try checked(cpeers_unblock_signals(), "unblock signals")
        try process.run()
        monitor = FileDescriptor(
            rawValue: try checked(cpeers_accept(listener, 60_000), "reach QEMU"))
        try execute("qmp_capabilities")
    }

    /// Its process number.
    public var processID: Int32 { process.processIdentifier }

    /// Executes a command.
    ///
    /// - Parameters:
    ///   - command: Its name.
    ///   - arguments: Its arguments as JSON.
    /// - Returns: The answer as JSON.
    /// - Throws: What QEMU refuses it with.
    @discardableResult
    public func execute(_ command: String, _ arguments: String = "{}") throws -> String {
        let line = #"{"execute":"\#(command)","arguments":\#(arguments)}"# + "\n"
        try monitor.writeAll(line.utf8)
        while true {
            let answer = try self.line()
            if answer.hasPrefix(#"{"return""#) { return answer }
            guard !answer.hasPrefix(#"{"error""#) else { throw Failure(answer) }
        }
    }

    private func line() throws -> String {
        var line: [UInt8] = []
        while true {
            while !input.isEmpty {
                let byte = input.bytes.loadBigEndian(at: 0, as: UInt8.self)
                input.removeFirst(1)
                if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
                line.append(byte)
            }
            guard try input.fill(from: monitor) > 0 else { throw Failure("QEMU went away") }
        }
    }

    /// Waits until its migration has completed; the connection may end a moment before.
    ///
    /// - Returns: The statistics as JSON.
    /// - Throws: When it has not after some seconds.
    @discardableResult
    public func completedMigration() throws -> String {
        var state = ""
        for _ in 0..<5000 {
            state = try execute("query-migrate")
            if state.contains(#""status": "completed""#) { return state }
            Thread.sleep(forTimeInterval: 0.001)
        }
        throw Failure(state)
    }

    /// Ends it at once: asked to end, it would wait for a migration that goes on.
    public func stop() {
        kill(processID, SIGKILL)
        process.waitUntilExit()
        try? monitor.close()
    }

    /// What a QEMU says its version is.
    public static func version(of binary: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["--version"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let words = text.split(whereSeparator: \.isWhitespace)
        return words.count > 3 ? String(words[3]) : "?"
    }
}

/// Makes a folder that only this user can enter.
public func makeFolder() throws -> String {
    let folder = "/tmp/roost-bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false,
        attributes: [.posixPermissions: 0o700])
    return folder
}

/// Calls `body` with a new folder that only this user can enter, and removes it afterwards.
public func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = try makeFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}
