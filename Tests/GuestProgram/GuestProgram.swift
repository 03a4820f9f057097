import Glibc
import RoostGuest
import RoostMemory
import RoostMigration

/// What the tests of guests run: a guest that does as it is told, or a host that
/// holds one or moves one and is killed at a step.
///
///     guest-program guest SOCKET RAM-BYTES [incoming]
///     guest-program hold SOCKET pause|left|cgroup-v1|stop-cycle
///     guest-program move SOCKET SOCKET STEP
///
/// A guest is told what to do through words of its block `control`, which the test maps.
@main
enum GuestProgram {
    /// Offsets of the words of the block `control`.
    enum Word {
        /// Grows as long as the guest runs.
        static let counter = 0
        /// 1: write pages; 2: add a block; 3: write its pages; set to 0 when done.
        static let command = 8
        static let first = 16
        static let stride = 24
        static let count = 32
        static let value = 40
        /// Not 0: sleep between looks.
        static let sleeps = 48
    }

    static func main() async throws {
        let arguments = CommandLine.arguments
        if arguments[1] == "guest" {
            try guest(arguments[2], Int(arguments[3]) ?? 0, arguments.contains("incoming"))
        } else if arguments[1] == "move" {
            try await move(arguments[2], arguments[3], until: arguments[4])
        } else {
            try hold(arguments[2], arguments[3])
        }
    }

    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    private static func guest(_ socket: String, _ byteCount: Int, _ incoming: Bool) throws {
        let movable = try MovableMemory.open(
            blocks: [("ram", byteCount), ("control", pageByteCount)], socket: socket,
            incoming: incoming
        ) { say("READY") }
        if incoming { say("ARRIVED") }
        let control = movable.blocks[1].memory
        var added: MemorySpace?
        while true {
            control.storeWord(control.loadWord(at: Word.counter) &+ 1, at: Word.counter)
            switch control.loadWord(at: Word.command) {
            case 1: write(movable.blocks[0].memory, control)
            case 2:
                let count = Int(control.loadWord(at: Word.count))
                added = try movable.add(name: "extra", byteCount: count).memory
            case 3:
                if let added { write(added, control) }
            default:
                if control.loadWord(at: Word.sleeps) != 0 { usleep(500) }
                continue
            }
            control.storeWord(0, at: Word.command)
        }
    }

    private static func write(_ memory: MemorySpace, _ control: MemorySpace) {
        let first = Int(control.loadWord(at: Word.first))
        let stride = Int(control.loadWord(at: Word.stride))
        for index in 0..<Int(control.loadWord(at: Word.count)) {
            memory.storeWord(
                control.loadWord(at: Word.value),
                at: (first + index * stride) * pageByteCount + 8)
        }
    }

    private static func move(
        _ from: String, _ to: String, until last: String
    ) async throws {
        var move = ProcessMove(
            from: try ProcessGuest.connect(to: from), to: try ProcessGuest.connect(to: to),
            ProcessMove.Options())
        move.onStep = { step in
            if step.rawValue == last { kill(getpid(), SIGKILL) }
        }
        _ = try await move.run { _ in }
    }

    private static func hold(_ socket: String, _ how: String) throws {
        let guest = try ProcessGuest.connect(to: socket)
        var throttle: (any Throttle)?
        switch how {
        case "pause": try guest.pause()
        case "left":
            try guest.pause()
            guest.leave()
        default:
            guard let kind = ThrottleKind(rawValue: how) else { return }
            throttle = try guest.throttle(kind)
            try throttle?.set(percentage: 95)
        }
        say("HELD")
        while true { pause() }
    }
}
