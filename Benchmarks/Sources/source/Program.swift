import CPeers
import Foundation
import Glibc
import Workloads

/// Another process: this program again in another part, or a stamped guest.
///
/// It is killed when the last reference goes.
final class Program {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var received: [UInt8] = []

    /// Its process number.
    var processID: Int32 { process.processIdentifier }

    /// Starts this program again.
    convenience init(_ arguments: [String]) throws {
        try self.init("/proc/self/exe", arguments)
    }

    /// Starts a program, whose input and output are pipes.
    init(_ binary: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: binary).resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        _ = try checked(cpeers_unblock_signals(), "unblock signals")
        try process.run()
    }

    /// Gives it a line.
    func write(_ line: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8))
    }

    /// Waits for its next line.
    @discardableResult
    func line() throws -> String {
        while true {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[..<end], as: UTF8.self)
                received.removeSubrange(...end)
                return line
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw Failure("\(name) ended unasked") }
            received.append(contentsOf: more)
        }
    }

    /// Waits for a line.
    func expect(_ word: String) throws {
        let line = try line()
        guard line == word else { throw Failure("\(name) says '\(line)' and not '\(word)'") }
    }

    /// Waits for its next line, which is numbers.
    func numbers() throws -> [Int] {
        try line().split(separator: " ").compactMap { Int($0) }
    }

    /// Asks it to end.
    func terminate() {
        process.terminate()
    }

    /// Ends it.
    func stop() {
        kill(processID, SIGKILL)
        process.waitUntilExit()
    }

    private var name: String {
        ([process.executableURL?.lastPathComponent ?? "?"] + (process.arguments ?? []))
            .joined(separator: " ")
    }

    deinit {
        if process.isRunning { stop() }
    }
}

/// Says a line at once, also into a pipe.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

/// What a process uses by itself, in KiB: the words of its `/proc/PID/status`.
struct ProcessMemory {
    var anonymous = 0
    var pageTables = 0

    init?(of processID: Int32) {
        guard let text = try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)
        else { return nil }
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count > 1, let value = Int(words[1]) else { continue }
            if words[0] == "RssAnon:" { anonymous = value }
            if words[0] == "VmPTE:" { pageTables = value }
        }
    }
}
