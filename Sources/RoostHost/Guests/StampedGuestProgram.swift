internal import FoundationEssentials
internal import RoostSystem
internal import SystemPackage

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
    private let process: RunningProgram

    /// Starts the program and waits until a mover can connect.
    ///
    /// - Parameters:
    ///   - workload: What it writes; a guest that waits takes all but the length from what arrives.
    ///   - isIncoming: Whether it waits for the memory of another guest.
    ///   - socket: The path for its socket; what it says of failures goes to a file beside it.
    ///   - filling: Told how many bytes of its memory are filled.
    /// - Throws: `HostError` when the program is missing or says something else.
    public init(
        _ workload: Workload, isIncoming: Bool, socket: String,
        filling: (UInt64) -> Void = { _ in }
    ) throws(HostError) {
        self.socket = socket
        let program = try Self.program()
        let arguments =
            ["--socket", socket, "--memory", "\(workload.byteCount)"]
            + (isIncoming
                ? ["--incoming"]
                : [
                    "--hot", "\(workload.hotPercentage)", "--writes-per-second",
                    "\(workload.writesPerSecond)", "--bytes-per-write",
                    "\(workload.bytesPerWrite)", "--content", workload.content,
                ])
        // A pipe that nobody reads could stop it.
        let words = socket + ".errors"
        do {
            let errors = try SmallFile.openForWriting(words, making: .ownerReadWrite)
            process = try RunningProgram(program, arguments, errors: errors.descriptor)
        } catch {
            throw HostError(
                .guest, path: program,
                "cannot start \(program): \(ErrorSentence.of(error).withoutFullStop)")
        }
        var line = process.readLine()
        while let told = line, told.hasPrefix(Self.filled) {
            if let byteCount = UInt64(told.dropFirst(Self.filled.count)) { filling(byteCount) }
            line = process.readLine()
        }
        guard line == "READY" else {
            process.terminate()
            throw HostError(
                .guest, path: program,
                "a guest of \(Quantity.bytes(workload.byteCount)) cannot be started: "
                    + Self.reason(line, wordsAt: words))
        }
    }

    /// How the program's lines begin that tell how far it has filled its memory.
    private static let filled = "FILLED "

    /// Why the program is not ready, as far as it said.
    private static func reason(_ line: String?, wordsAt path: String) -> String {
        let words = SmallFile.text(of: path) ?? ""
        if let first = words.split(separator: "\n").first {
            let sentence = first.hasPrefix("Error: ") ? first.dropFirst(7) : first
            return PlainText.of(String(sentence)).withoutFullStop
        }
        return line.map { "it said '\(PlainText.of($0))' where READY was expected" }
            ?? "it ended without a word; it may have been killed for want of memory"
    }

    /// The program's name.
    static let name = "stamped-guest"

    /// Where the program is.
    private static func program() throws(HostError) -> String {
        let file = CompanionFile(name, of: ThisProcess.program ?? CommandLine.arguments[0])
        guard file.isPresent else {
            throw HostError(
                .guest, path: file.path,
                "the guest's program is not at \(file.path): \(CompanionFile.remedy)")
        }
        return file.path
    }

    /// The guest's process number.
    public var processID: Int32 { process.processID }

    /// What the guest found when its memory had arrived.
    ///
    /// Blocks until it has checked.
    ///
    /// - Returns: The verification.
    /// - Throws: `HostError` when it ended without.
    public func verification() throws(HostError) -> Verification {
        guard let line = process.readLine(),
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
        process.waitForEnd()
        return found
    }

    /// Ends the guest at once; whoever waits for a line of it goes on with an error.
    public func kill() { process.kill() }

    /// Waits for a guest that moved away, whose process was ended.
    public func waitForEnd() { process.waitForEnd() }
}

extension String {
    /// The text without full stops at its end, to go on behind it.
    fileprivate var withoutFullStop: String {
        var text = self
        while text.last == "." { text.removeLast() }
        return text
    }
}
