import Foundation
import Glibc
import RoostSystem
import SystemPackage

@testable import RoostBlock

/// A program that runs beside a test and is killed with the value's last reference.
final class StorageProgram: Sendable {
    let processID: Int32
    private let process: Running

    /// `Process` is not Sendable; it is started once and ended once.
    private final class Running: @unchecked Sendable {
        // SAFETY (@unchecked Sendable): only `StorageProgram` reaches it, after `run` waits only.
        let process = Process()
    }

    /// Starts a program found along `PATH`.
    init(_ name: String, _ arguments: String...) throws {
        process = Running()
        process.process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.process.arguments = [name] + arguments
        process.process.standardInput = FileHandle.nullDevice
        process.process.standardOutput = FileHandle.nullDevice
        process.process.standardError = FileHandle.nullDevice
        try process.process.run()
        processID = process.process.processIdentifier
    }

    /// Waits until it has locked a byte of a file: at most half a minute.
    func holdsLock(on byte: Int64, of path: String) async throws -> Bool {
        let file = OwnedDescriptor(try FileDescriptor.open(FilePath(path), .readOnly))
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end && process.process.isRunning {
            let holder = ImageLockHolder.find(of: file.descriptor, holding: byte)
            if holder?.processID == processID { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// Kills it and waits for its end.
    func kill() async {
        _ = Glibc.kill(processID, SIGKILL)
        let running = process
        _ = try? await DedicatedThread.run(name: "reap") { running.process.waitUntilExit() }
    }

    deinit {
        if process.process.isRunning { _ = Glibc.kill(processID, SIGKILL) }
    }
}
