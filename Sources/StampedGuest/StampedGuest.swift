internal import Glibc
internal import RoostGuest
internal import RoostMemory

/// A guest whose whole state is in its RAM, and which can tell whether a move lost any of it.
///
/// It writes its pages in an order that can be computed, each time with a higher generation. A step
/// is journaled: the header names the step being done before the page is written, and whoever
/// goes on with the memory, after a stop at any instruction, does that step again; doing it twice
/// leaves the same bytes. So no step is lost and none repeated, and the generation of every page
/// can be told from the header alone: ``verify()`` checks them all.
public final class StampedGuest: Sendable {
    /// What a new guest is like.
    public struct Options: Sendable, Equatable {
        /// RAM in bytes: whole pages, at least two.
        public var byteCount: Int
        /// The share of the pages that are written again and again, in percent: 1 to 100.
        public var hotPercentage: Int
        /// Writes in each second; 0 as many as possible.
        public var writesPerSecond: Int
        /// Bytes that a write changes, its stamp of 32 included: up to 4,096, all of the page.
        public var bytesPerWrite: Int
        /// What pages are filled with.
        public var content: GuestContent

        /// Describes a guest.
        ///
        /// - Parameters:
        ///   - byteCount: RAM in bytes: whole pages, at least two.
        ///   - hotPercentage: The share of the pages that are written, in percent: 1 to 100.
        ///   - writesPerSecond: Writes in each second; 0 as many as possible.
        ///   - bytesPerWrite: Bytes that a write changes, up to 4,096.
        ///   - content: What pages are filled with.
        public init(
            byteCount: Int, hotPercentage: Int = 10, writesPerSecond: Int = 0,
            bytesPerWrite: Int = 4096, content: GuestContent = .random
        ) {
            self.byteCount = byteCount
            self.hotPercentage = hotPercentage
            self.writesPerSecond = writesPerSecond
            self.bytesPerWrite = bytesPerWrite
            self.content = content
        }
    }

    /// The name of the block that is the guest's RAM.
    public static let blockName = "ram"

    /// How many pages are filled between two words about it.
    private static let fillingPages = (64 << 20) / pageByteCount

    private typealias Word = GuestLayout.Word

    private let layout: GuestLayout
    private let memory: MemorySpace
    /// What keeps the memory movable.
    private let movable: MovableMemory

    private init(_ layout: GuestLayout, _ movable: MovableMemory) {
        self.layout = layout
        self.movable = movable
        memory = movable.blocks[0].memory
    }

    /// Makes a guest, fills its RAM and lets it be moved.
    ///
    /// - Parameters:
    ///   - options: What it is like.
    ///   - socket: Where a mover connects.
    ///   - whileFilling: Told how many bytes are filled, every 64 MiB.
    /// - Returns: The guest, which works once ``work(until:)`` is called.
    /// - Throws: `StampedGuestError`, or `GuestError`.
    public static func start(
        _ options: Options, socket: String, whileFilling: (Int) -> Void = { _ in }
    ) throws -> StampedGuest {
        let pages = options.byteCount / pageByteCount - 1
        guard options.byteCount % pageByteCount == 0, pages > 0,
            (1...100).contains(options.hotPercentage)
        else {
            throw StampedGuestError("RAM is whole pages, at least two, of which 1 to 100 % are hot")
        }
        let hot = max(1, Int(Int64(pages) * Int64(options.hotPercentage) / 100))
        let layout = GuestLayout(
            pageCount: pages, hotCount: hot, stride: GuestLayout.stride(hotCount: hot),
            bytesPerWrite: options.bytesPerWrite, content: options.content,
            seed: mixed(UInt64(pages)), writesPerSecond: options.writesPerSecond)
        guard let layout else {
            throw StampedGuestError("a write changes up to 4096 bytes, and RAM is below 8 TiB")
        }
        let movable = try MovableMemory.open(
            blocks: [(name: blockName, byteCount: options.byteCount)], socket: socket)
        let guest = StampedGuest(layout, movable)
        for page in 0..<pages {
            guest.write(page, generation: 0, all: true)
            if (page + 1) % fillingPages == 0 { whileFilling((page + 1) * pageByteCount) }
        }
        layout.store(in: guest.memory)
        guest.memory.storeWord(now(), at: Word.lastTime)
        return guest
    }

    /// Waits for a guest to arrive, and completes the step in which it was stopped.
    ///
    /// - Parameters:
    ///   - byteCount: The RAM's size in bytes.
    ///   - socket: Where a mover connects.
    ///   - whenListening: Is called once it can.
    /// - Returns: The guest, which works on once ``work(until:)`` is called.
    /// - Throws: `StampedGuestError` when what arrives is no stamped guest, or `GuestError`.
    public static func arrive(
        byteCount: Int, socket: String, whenListening: () -> Void = {}
    ) throws -> StampedGuest {
        let movable = try MovableMemory.open(
            blocks: [(name: blockName, byteCount: byteCount)], socket: socket, incoming: true,
            whenListening: whenListening)
        guard let layout = GuestLayout(of: movable.blocks[0].memory) else {
            throw StampedGuestError("what arrived is no stamped guest of this version and size")
        }
        let guest = StampedGuest(layout, movable)
        guest.notePause(dueAt: guest.memory.loadWord(at: Word.lastTime))
        guest.step(redoing: true)
        return guest
    }

    /// How many steps are complete.
    public var stepCount: UInt64 { memory.loadWord(at: Word.step) }

    /// How long the guest stood still for over a millisecond, all together, as far as its clock of
    /// the day tells: a move is in it, and so is waiting for a processor.
    public var pauses: Duration {
        .nanoseconds(Int64(clamping: memory.loadWord(at: Word.pauses)))
    }

    /// The longest of the pauses.
    public var longestPause: Duration {
        .nanoseconds(Int64(clamping: memory.loadWord(at: Word.longestPause)))
    }

    /// Works until asked to stop.
    ///
    /// - Parameter isOver: Is asked before each step.
    public func work(until isOver: () -> Bool) {
        // The journal names a step that may be half done: see `arrive`.
        var next = Self.now()
        while !isOver() {
            if layout.writesPerSecond > 0 {
                Self.sleep(until: next)
                notePause(dueAt: next)
                next = max(next, Self.now() &- 100_000_000)
                next &+= 1_000_000_000 / UInt64(layout.writesPerSecond)
            } else {
                notePause(dueAt: memory.loadWord(at: Word.lastTime))
            }
            step(redoing: false)
        }
    }

    /// Does the step that the journal names.
    ///
    /// - Parameter redoing: Whether it may have been begun before: the page is then written whole,
    ///   without a look at what it holds.
    private func step(redoing: Bool) {
        let step = memory.loadWord(at: Word.step)
        let page = layout.page(ofStep: step)
        let generation = layout.generation(ofStep: step)
        if !redoing { check(page, generation - 1) }
        write(page, generation: generation, all: redoing)
        memory.storeWord(Self.now(), at: Word.lastTime)
        // Released after the page: who finds the next step here finds this page whole.
        memory.storeWord(step &+ 1, at: Word.step)
    }

    private func check(_ page: Int, _ expected: UInt64) {
        switch finding(page, expected) {
        case .right: break
        case .lost: add(1, Word.lost)
        case .repeated: add(1, Word.repeated)
        case .damaged: add(1, Word.damaged)
        }
    }

    private func finding(_ page: Int, _ expected: UInt64) -> PageFinding {
        let memory = memory
        return PageFinding(memory.page(at: offset(page)), page, expected, layout)
    }

    private func offset(_ page: Int) -> Int { (page + 1) * pageByteCount }

    private func write(_ page: Int, generation: UInt64, all: Bool) {
        memory.withMutablePage(at: offset(page)) { target in
            PageStamp.write(layout, page: page, generation: generation, all: all, to: &target)
        }
    }

    private func add(_ count: UInt64, _ word: Int) {
        memory.storeWord(memory.loadWord(at: word) &+ count, at: word)
    }

    private func notePause(dueAt due: UInt64) {
        let now = Self.now()
        guard now > due, now - due > 1_000_000 else { return }
        add(now - due, Word.pauses)
        if now - due > memory.loadWord(at: Word.longestPause) {
            memory.storeWord(now - due, at: Word.longestPause)
        }
    }

    /// Checks every page against what it must hold; for a guest that does not work meanwhile.
    ///
    /// - Returns: What was found, what ``work(until:)`` found before included.
    public func verify() -> StampedVerification {
        let steps = stepCount
        var result = StampedVerification(
            step: steps, lost: memory.loadWord(at: Word.lost),
            repeated: memory.loadWord(at: Word.repeated),
            damaged: memory.loadWord(at: Word.damaged), pauses: pauses, longestPause: longestPause)
        for page in 0..<layout.pageCount {
            let expected = layout.generation(ofPage: page, afterSteps: steps)
            result.generationsChecked += 1
            switch finding(page, expected) {
            case .right: break
            case .lost: result.lost += 1
            case .repeated: result.repeated += 1
            case .damaged: result.damaged += 1
            }
        }
        return result
    }

    /// The clock of the day in nanoseconds, the one clock that goes on at another host.
    private static func now() -> UInt64 {
        var time = timespec()
        // SAFETY: a local value, alive for the call.
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    private static func sleep(until due: UInt64) {
        let now = now()
        guard due > now else { return }
        usleep(UInt32(clamping: (due - now) / 1000))
    }
}

/// What a look at a page showed.
enum PageFinding: Equatable {
    case right, lost, repeated, damaged

    init(_ page: RawSpan, _ index: Int, _ expected: UInt64, _ layout: GuestLayout) {
        let stamp = PageStamp(page)
        if !stamp.isWhole || stamp.number != UInt64(index + 1)
            || stamp.step != layout.step(ofPage: index, generation: stamp.generation)
        {
            self = .damaged
        } else if stamp.generation < expected {
            self = .lost
        } else {
            self = stamp.generation > expected ? .repeated : .right
        }
    }
}
