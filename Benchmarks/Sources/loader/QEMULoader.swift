import CPeers
import Foundation
import RoostMemory
import SystemPackage
import Workloads

/// A real QEMU that waits for a guest.
struct QEMULoader: Loader {
    let name: String
    let binary: String

    func start(listeningAt path: String, in folder: String) throws -> any LoaderProcess {
        let monitorPath = "\(folder)/monitor"
        let listener = try unsafe checked(cpeers_listen(monitorPath), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = [
            "-accel", "tcg", "-machine", machine, "-m", "\(pageCount * 4)K", "-nodefaults",
            "-display", "none", "-S", "-incoming", "defer", "-qmp",
            "unix:\(monitorPath),server=off",
        ]
        // QEMU tells there that no description of devices follows the memory, which it accepts.
        process.standardError = FileHandle.nullDevice
        try process.run()
        let child = QEMUProcess(
            process: process, folder: folder,
            monitor: FileDescriptor(
                rawValue: try checked(cpeers_accept(listener, 60_000), "reach \(name)")))
        try child.execute("qmp_capabilities")
        try child.execute("migrate-incoming", #"{"uri":"unix:\#(path)"}"#)
        return child
    }
}

private final class QEMUProcess: LoaderProcess {
    private let process: Process
    private let folder: String
    private let monitor: FileDescriptor
    private var input = ByteQueue(capacity: 1 << 20)

    init(process: Process, folder: String, monitor: FileDescriptor) {
        self.process = process
        self.folder = folder
        self.monitor = monitor
    }

    @discardableResult
    func execute(_ command: String, _ arguments: String = "{}") throws -> String {
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

    func check(pages: inout GuestPages, fully: Bool) throws {
        // The connection ends a moment after the state is set, but in another order in some
        // versions.
        var state = ""
        for _ in 0..<1000 {
            state = try execute("query-migrate")
            if state.contains(#""status": "completed""#) { break }
            Thread.sleep(forTimeInterval: 0.001)
        }
        guard state.contains(#""status": "completed""#) else { throw Failure(state) }
        guard fully else { return }
        // Below 1 MiB the guest's addresses are those of the video memory and the firmware.
        let first = (1 << 20) / pageByteCount
        let byteCount = (pageCount - first) * pageByteCount
        let path = "\(folder)/memory"
        try execute(
            "pmemsave",
            #"{"val":\#(first * pageByteCount),"size":\#(byteCount),"filename":"\#(path)"}"#)
        let file = try FileDescriptor.open(FilePath(path), .readWrite)
        defer { try? file.close() }
        let memory = try MappedRegion.file(file, byteCount: byteCount, requiresSeal: false)
        for index in first..<pageCount {
            let loaded = memory.page(at: (index - first) * pageByteCount)
            guard pages.withPage(index, { loaded.isEqual(to: $0) }) else {
                throw Failure("QEMU loaded page \(index) otherwise")
            }
        }
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
        try? monitor.close()
    }
}

extension QEMULoader {
    /// The installed QEMU, and version 10 where the laboratory has unpacked it.
    static func all() throws -> [QEMULoader] {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return try [
            "/usr/bin/qemu-system-x86_64",
            root.appendingPathComponent(".build-lab/qemu10/qemu-system-x86_64").path,
        ]
        .filter { FileManager.default.isExecutableFile(atPath: $0) }
        .map { QEMULoader(name: "QEMU \(try version(of: $0))", binary: $0) }
    }

    private static func version(of binary: String) throws -> String {
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
