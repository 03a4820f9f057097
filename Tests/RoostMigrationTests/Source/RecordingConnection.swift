import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage

@testable import RoostMigration

/// Stands between a source and its socket: writes down what goes by, and breaks when it is told.
final class RecordingConnection: SourceConnection {
    /// What went by.
    struct State {
        var bytes: [UInt8] = []
        var sends = 0
        /// How many bytes had gone when each sleep began.
        var sleeps: [Int] = []
        var isBroken = false
    }

    /// What happens around a call.
    struct Hooks: Sendable {
        /// Called before a send with its number, the first being 0; an error is thrown.
        var onSend: @Sendable (Int) -> MigrationError? = { _ in nil }
        /// Takes the place of a sleep: until when, what wakes it, and the real one.
        var onSleep: @Sendable (ContinuousClock.Instant, StopSignal, any SourceConnection) -> Void =
            {
                $2.sleep(until: $0, unless: $1)
            }
    }

    private let inner: any SourceConnection
    private let hooks: Hooks
    private let state = Mutex(State())

    init(_ inner: any SourceConnection, _ hooks: Hooks = Hooks()) {
        self.inner = inner
        self.hooks = hooks
    }

    var recorded: State { state.withLock { $0 } }

    /// Makes every later send fail.
    func breakDown() {
        state.withLock { $0.isBroken = true }
    }

    static let broken = MigrationError(
        .transfer, errno: .connectionReset, "the wire broke: move the guest again")

    func send(_ queue: inout ByteQueue) throws(MigrationError) {
        let (number, isBroken) = state.withLock { state in
            defer { state.sends += 1 }
            return (state.sends, state.isBroken)
        }
        if let failure = hooks.onSend(number) { throw failure }
        guard !isBroken else { throw Self.broken }
        let bytes = [UInt8](copying: queue.bytes)
        try inner.send(&queue)
        state.withLock { $0.bytes += bytes }
    }

    func endSending() { inner.endSending() }

    func receive(into queue: inout ByteQueue) throws(MigrationError) -> Bool {
        try inner.receive(into: &queue)
    }

    func sleep(until time: ContinuousClock.Instant, unless signal: StopSignal) {
        state.withLock { $0.sleeps.append($0.bytes.count) }
        hooks.onSleep(time, signal, inner)
    }

    func close() { inner.close() }
}

/// A reference that a closure sets and another uses, and that keeps nothing alive.
final class Watch<Object: AnyObject & Sendable>: Sendable {
    private struct Held {
        weak var object: Object?
    }

    private let held = Mutex(Held())

    var object: Object? {
        get { held.withLock { $0.object } }
        set { held.withLock { $0.object = newValue } }
    }
}

/// A clock that goes on when it is told.
final class HandClock: Sendable {
    private let time = Mutex(Duration.zero)

    var now: Duration { time.withLock { $0 } }

    func advance(by step: Duration) {
        time.withLock { $0 += step }
    }
}

/// A throttle that writes down what it is told.
final class RecordingThrottle: Throttle {
    let name = "recording"
    private let calls = Mutex<[Int]>([])
    private let onSet: @Sendable (Int) -> MigrationError?

    /// - Parameter onSet: Called with each percentage; what it answers is thrown.
    init(_ onSet: @escaping @Sendable (Int) -> MigrationError? = { _ in nil }) {
        self.onSet = onSet
    }

    var percentages: [Int] { calls.withLock { $0 } }

    func set(percentage: Int) throws(MigrationError) {
        calls.withLock { $0.append(percentage) }
        if let failure = onSet(percentage) { throw failure }
    }
}

/// What the records of a stream are.
struct RecordCounter: StreamHandler {
    var records: [PageRecord] = []
    /// How often the list of blocks came.
    var lists = 0
    var names: [String] = []
    var machineType = ""
    var commands: [StreamCommand] = []
    var sections = 0

    func count(_ kind: PageKind) -> UInt64 { UInt64(records.filter { $0.kind == kind }.count) }

    /// The bytes of a kind's records without their words; of one block they carry no names.
    func bodyByteCount(_ kind: PageKind) -> UInt64 {
        UInt64(records.filter { $0.kind == kind }.reduce(0) { $0 + $1.byteCount - 8 })
    }

    /// The index of the first record whose page came before: the first of the second round.
    var secondRound: Int {
        var seen: Set<[UInt64]> = []
        return records.firstIndex { !seen.insert([UInt64($0.block), $0.offset]).inserted }
            ?? records.count
    }

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        machineType = configuration.machineType
    }
    mutating func sectionBegan(_ section: SectionHeader) { sections += 1 }
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) {
        lists += 1
        names = blocks.map(\.name)
    }
    mutating func blocksAdded(_ blocks: [RAMBlockDescription], from first: Int) {
        lists += 1
        names = blocks.map(\.name)
    }
    mutating func page(_ record: PageRecord, _ body: RawSpan) { records.append(record) }
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        commands.append(command)
    }
    // Not counted; no source of Roost's has other channels.
    mutating func streamBegan(version: UInt32) {}
    mutating func multifdFlushed() throws(MigrationError) { throw .forTest }
    mutating func recordsEnded() {}
    mutating func opaque(_ bytes: RawSpan) {}
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
    mutating func tail(_ bytes: RawSpan) {}

    /// Reads a whole stream.
    init(_ bytes: [UInt8]) throws(MigrationError) {
        try read(bytes, into: &self)
    }
}
