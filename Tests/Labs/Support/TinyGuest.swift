import Foundation
import RoostSystem
import SystemPackage

/// The guest of `Tests/Labs/qemu/guest/tinyguest.S`: a firmware of 64 KiB that is ready at once,
/// and then rewrites 32 pages turn after turn.
package enum TinyGuest {
    /// The RAM a laboratory gives it, in KiB; no multiple of 256 KiB.
    package static let memoryKiB = 4160

    /// Where each turn leaves its number, in guest memory.
    private static let turnAddress: Int64 = 0x15_0000

    /// Builds the firmware.
    ///
    /// - Parameter folder: Where to.
    /// - Returns: The file to give to `-bios`.
    /// - Throws: `LabError` with what the compiler says.
    package static func build(in folder: TemporaryFolder) async throws -> String {
        var source = URL(fileURLWithPath: #filePath)
        for _ in 0..<2 { source.deleteLastPathComponent() }
        let assembly = source.appendingPathComponent("qemu/guest/tinyguest.S").path
        let (object, linked) = (folder.file("tinyguest.o"), folder.file("tinyguest.elf"))
        let firmware = folder.file("tinyguest.bin")
        try await run("/usr/bin/cc", ["-m32", "-c", "-o", object, assembly])
        try await run(
            "/usr/bin/ld",
            ["-m", "elf_i386", "-e", "0xf0000", "-Ttext=0xf0000", "-o", linked, object])
        try await run("/usr/bin/objcopy", ["-O", "binary", linked, firmware])
        return firmware
    }

    /// The number of the last turn in a file of the guest's memory.
    package static func turn(in memoryFile: String) throws -> UInt32 {
        let file = try FileDescriptor.open(FilePath(memoryFile), .readOnly)
        return try file.closeAfter {
            var bytes = [UInt8](repeating: 0, count: 4)
            _ = try unsafe bytes.withUnsafeMutableBytes { buffer in
                // SAFETY: the buffer is the array's, alive for the call.
                try unsafe file.read(fromAbsoluteOffset: turnAddress, into: buffer)
            }
            return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    private static func run(_ program: String, _ arguments: [String]) async throws {
        let child = try ChildProcess(program, arguments)
        try await child.succeed()
    }
}

extension LabQEMU {
    /// Tells a tiny guest to work.
    package func go() async throws {
        guard let serial else { throw LabError("this guest has no serial line to be told by") }
        try await answer("R", serial)
        let word = [UInt8(ascii: "g")]
        try serial.send(unsafe word.span.bytes)
        try await answer("G", serial)
    }

    private func answer(_ letter: Character, _ serial: StreamSocket) async throws {
        let byte = try await DedicatedThread.run(name: "serial") {
            var bytes: [UInt8] = [0]
            let count = try unsafe bytes.withUnsafeMutableBytes { buffer in
                // SAFETY: the buffer is the array's, alive for the call.
                try unsafe serial.descriptor.read(into: buffer)
            }
            return count == 1 ? bytes[0] : 0
        }
        guard byte == letter.asciiValue else {
            throw LabError("the guest answers \(byte) where \(letter) was expected")
        }
    }

    /// The number of the tiny guest's last turn.
    package func lastTurn() throws -> UInt32 { try TinyGuest.turn(in: memoryFile) }

    /// Waits until the tiny guest has done more turns.
    ///
    /// - Parameters:
    ///   - turn: The turn it must go beyond; by default the present one.
    ///   - limit: How long to wait.
    /// - Returns: A later one.
    /// - Throws: `LabError` when the limit is over.
    @discardableResult
    package func turn(
        after turn: UInt32? = nil, within limit: Duration = ChildProcess.defaultLimit
    ) async throws -> UInt32 {
        let start = try turn ?? lastTurn()
        return try await poll(limit, "a turn after \(start) of the guest in \(name)") {
            let now = try lastTurn()
            return now > start ? now : nil
        }
    }
}
