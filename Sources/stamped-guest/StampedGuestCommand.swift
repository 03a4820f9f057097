import ArgumentParser
import Glibc
import RoostSystem
import StampedGuest
import Synchronization

/// Set by SIGTERM and SIGINT.
private let stopRequested = Atomic<Bool>(false)

@main
struct StampedGuestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stamped-guest",
        abstract: "A guest that writes its memory and can tell whether a move lost any of it.",
        discussion: """
            Prints FILLED and a number of bytes while it fills its memory, and READY when a mover \
            can connect to its socket. With --incoming it then waits for \
            its memory, checks all of it when it has arrived and prints the result as one line of \
            JSON. On SIGTERM it does so once more and ends with status 0 if everything is right.
            """)

    @Option(help: "The unix socket on which a mover connects.")
    var socket: String

    @Option(help: "RAM in bytes, or with K, M or G behind the number.")
    var memory: ByteSize = ByteSize(byteCount: 64 << 20)

    @Option(name: .customLong("hot"), help: "The share of RAM written again and again, in percent.")
    var hotPercentage = 10

    @Option(help: "Writes in each second; 0 as many as possible.")
    var writesPerSecond = 0

    @Option(help: "Bytes that each write changes, up to 4096.")
    var bytesPerWrite = 4096

    @Option(
        help: "What pages are filled with: random, text or sparse.",
        transform: { text in
            guard let content = GuestContent(rawValue: text) else {
                throw ValidationError("'\(text)' is no content: give random, text or sparse")
            }
            return content
        })
    var content = GuestContent.random

    @Flag(help: "Wait for the memory of a guest that moves here.")
    var incoming = false

    func run() throws {
        let guest: StampedGuest
        if incoming {
            guest = try StampedGuest.arrive(byteCount: memory.byteCount, socket: socket) {
                say("READY")
            }
            stopOnSignals()
            say(guest.verify().json)
        } else {
            let options = StampedGuest.Options(
                byteCount: memory.byteCount, hotPercentage: hotPercentage,
                writesPerSecond: writesPerSecond, bytesPerWrite: bytesPerWrite, content: content)
            guest = try StampedGuest.start(options, socket: socket) { say("FILLED \($0)") }
            stopOnSignals()
            say("READY")
        }
        guest.work { stopRequested.load(ordering: .relaxed) }
        let result = guest.verify()
        say(result.json)
        Leavings.removeAll()
        if !result.isRight { throw ExitCode.failure }
    }

    /// Prints a line at once, also into a pipe.
    private func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    private func stopOnSignals() {
        // Touched here, since a handler may not be the first to.
        stopRequested.store(false, ordering: .relaxed)
        // Whoever started this program may have blocked them, which a program inherits.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in [SIGTERM, SIGINT] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in stopRequested.store(true, ordering: .relaxed) }
        }
    }
}

/// A number of bytes as people write it.
struct ByteSize: ExpressibleByArgument {
    let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = byteCount
    }

    init?(argument: String) {
        let shifts: [Character: Int] = ["K": 10, "M": 20, "G": 30]
        let shift = argument.last.flatMap { shifts[$0] }
        guard let number = Int(shift == nil ? argument : String(argument.dropLast())), number > 0
        else { return nil }
        let (byteCount, overflow) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        guard !overflow else { return nil }
        self.byteCount = byteCount
    }

    var defaultValueDescription: String { "\(byteCount >> 20)M" }
}
