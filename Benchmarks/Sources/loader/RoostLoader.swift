import CPeers
import Foundation
import RoostMemory
import RoostMigration
import SystemPackage
import Workloads

/// This program again, as `loader receive PATH`.
struct RoostLoader: Loader {
    let name = "Roost"

    func start(listeningAt path: String, in folder: String) throws -> any LoaderProcess {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["receive", path]
        let commands = Pipe()
        let answers = Pipe()
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
        let child = RoostProcess(process: process, commands: commands, answers: answers)
        try child.expect("listening")
        return child
    }
}

private struct RoostProcess: LoaderProcess {
    let process: Process
    let commands: Pipe
    let answers: Pipe

    func expect(_ word: String) throws {
        let answer = answers.fileHandleForReading.availableData
        guard String(decoding: answer, as: UTF8.self) == word + "\n" else {
            throw Failure("Roost's process is not \(word)")
        }
    }

    func check(pages: inout GuestPages, fully: Bool) throws {
        try commands.fileHandleForWriting.write(contentsOf: Data([fully ? 1 : 0]))
        try expect("loaded")
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }
}

/// The child's part: loads one stream from whoever connects.
func receive(at path: String) throws {
    let listener = try unsafe checked(cpeers_listen(path), "listen")
    FileHandle.standardOutput.write(Data("listening\n".utf8))
    let connection = FileDescriptor(
        rawValue: try checked(cpeers_accept(listener, 60_000), "accept"))
    var input = ByteQueue(capacity: 1 << 20)
    var reader = StreamReader()
    var loader = GuestLoader()
    while try input.fill(from: connection) > 0 {
        try reader.consume(input.bytes, into: &loader)
        input.removeAll()
    }
    _ = try reader.finish()
    try connection.close()
    // The parent has stopped its clock; now it says how closely to look.
    guard let how = try FileHandle.standardInput.read(upToCount: 1)?.first else { return }
    guard loader.pageCount == pageCount else { throw Failure("pages are missing") }
    if how == 1 {
        var pages = try GuestPages()
        try loader.check(pageCount: pageCount, of: &pages)
    }
    FileHandle.standardOutput.write(Data("loaded\n".utf8))
    // Until the parent ends this process.
    _ = try FileHandle.standardInput.readToEnd()
}
