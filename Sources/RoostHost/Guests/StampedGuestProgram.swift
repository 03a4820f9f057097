internal import Foundation
internal import Glibc
internal import Synchronization

/// A run of the program `stamped-guest`: a guest whose whole state is its memory.
///
/// It ends with this value, or by ``stop()``, which has it check its memory first.
public final class StampedGuestProgram: Sendable {
    /// What a guest writes; the names are those of the program's options.
    public struct Workload: Sendable {
        /// The memory in bytes.
        public var byteCount: UInt64 = 256 << 20
        /// The share of it that is written again and again, in percent.
        public var hotPercentage = 10
        /// Writes in each second, 0 for as many as possible.
        public var writesPerSecond = 0
        /// The bytes that each write changes, up to a page.
        public var bytesPerWrite = 4096
        /// What pages are filled with: `random`, `text` or `sparse`.
        public var content = "random"

        /// Makes a workload.
        public init() {}
    }

    /// What a check of all of a guest's pages showed.
    public struct Verification: Sendable, Equatable, Codable {
        /// How many writes are complete.
        public let step: UInt64
        /// Pages whose generation was compared with the one that it must be.
        public let generationsChecked: Int
        /// Pages with an older generation: a write was lost.
        public let lost: UInt64
        /// Pages with a newer generation: a write was done twice.
        public let repeated: UInt64
        /// Pages that are damaged.
        public let damaged: UInt64
        /// The longest time in which the guest got nowhere, in microseconds.
        public let longestPauseMicroseconds: Int64
        /// Whether everything is as it must be.
        public let ok: Bool

        /// One line for a person.
        public var summary: String {
            let pages = "\(generationsChecked) pages after \(step) writes"
            return ok
                ? "\(pages), none lost, none repeated"
                : "NOT RIGHT: \(pages), \(lost) lost, \(repeated) repeated, \(damaged) damaged"
        }
    }

    /// The socket on which a mover connects.
    public let socket: String
    private let process: Process
    private let input = Pipe()
    private let output: Pipe
    private let rest = Mutex<[UInt8]>([])

    /// Starts the program and waits until a mover can connect.
    ///
    /// - Parameters:
    ///   - workload: What it writes; a guest that waits takes all but the length from what arrives.
    ///   - isIncoming: Whether it waits for the memory of another guest.
    ///   - socket: The path for its socket.
    /// - Throws: `HostError` when the program is missing or says something else.
    public init(_ workload: Workload, isIncoming: Bool, socket: String) throws(HostError) {
        self.socket = socket
        process = Process()
        output = Pipe()
        let program = Self.program
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments =
            ["--socket", socket, "--memory", "\(workload.byteCount)", "--exit-with-input"]
            + (isIncoming
                ? ["--incoming"]
                : [
                    "--hot", "\(workload.hotPercentage)", "--writes-per-second",
                    "\(workload.writesPerSecond)", "--bytes-per-write",
                    "\(workload.bytesPerWrite)", "--content", workload.content,
                ])
        process.standardOutput = output
        // The guest ends with its input, so it does not outlive a killed roost.
        process.standardInput = input
        do {
            try process.run()
        } catch {
            throw HostError(
                .guest,
                "cannot start \(program): \(error.localizedDescription); build it beside roost "
                    + "(swift build --product stamped-guest)")
        }
        let line = readLine()
        guard line == "READY" else {
            process.terminate()
            throw HostError(
                .guest,
                "\(program) is not ready, it said '\(line ?? "nothing")': its own message is above")
        }
    }

    /// The program's name.
    static let name = "stamped-guest"

    /// Where the program is: beside this one.
    private static var program: String {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return own.deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// The guest's process number.
    public var processID: Int32 { process.processIdentifier }

    /// What the guest found when its memory had arrived.
    ///
    /// Blocks until it has checked.
    ///
    /// - Returns: The verification.
    /// - Throws: `HostError` when it ended without.
    public func verification() throws(HostError) -> Verification {
        guard let line = readLine(),
            let found = try? JSONDecoder().decode(Verification.self, from: Data(line.utf8))
        else {
            throw HostError(
                .guest, "the guest, process \(processID), ended before it checked its memory")
        }
        return found
    }

    /// Has the guest check its memory once more, and ends it.
    ///
    /// - Returns: The verification.
    /// - Throws: `HostError` when it ended without.
    public func stop() throws(HostError) -> Verification {
        process.terminate()
        let found = try verification()
        process.waitUntilExit()
        return found
    }

    /// Ends the guest at once; whoever waits for a line of it goes on with an error.
    public func kill() {
        if process.isRunning { _ = Glibc.kill(process.processIdentifier, SIGKILL) }
    }

    /// Waits for a guest that moved away, whose process was ended.
    public func waitForEnd() {
        process.waitUntilExit()
    }

    private func readLine() -> String? {
        rest.withLock { rest in
            while true {
                if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                    defer { rest.removeSubrange(...end) }
                    return String(decoding: rest[..<end], as: UTF8.self)
                }
                let more = output.fileHandleForReading.availableData
                guard !more.isEmpty else { return nil }
                rest += more
            }
        }
    }

    deinit {
        kill()
    }
}
