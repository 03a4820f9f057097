internal import RoostMemory
internal import Synchronization

/// How far the sending half is, for the thread that takes what comes back.
///
/// Each is set before the frames that bring it about are sent, so that no answer to them comes
/// too early.
final class RelayPhase: Sendable {
    private let returnPath = Atomic<Bool>(false)
    private let pastMemory = Atomic<Bool>(false)
    private let whole = Atomic<Bool>(false)
    private let frames = Atomic<UInt64>(0)

    /// Whether the source asked the destination to answer.
    var opensReturnPath: Bool {
        get { returnPath.load(ordering: .acquiring) }
        set { returnPath.store(newValue, ordering: .releasing) }
    }

    /// Whether all of the guest's memory was sent.
    var isPastMemory: Bool {
        get { pastMemory.load(ordering: .acquiring) }
        set { pastMemory.store(newValue, ordering: .releasing) }
    }

    /// Whether END was sent.
    var isWhole: Bool {
        get { whole.load(ordering: .acquiring) }
        set { whole.store(newValue, ordering: .releasing) }
    }

    /// How many frames were sent.
    var sentFrames: UInt64 {
        get { frames.load(ordering: .acquiring) }
        set { frames.store(newValue, ordering: .releasing) }
    }
}

/// The sending half of a relay: takes what a stream's reader finds, keeps the memory, and writes
/// the frames that the other side can rebuild it from.
struct RelayForwarder: StreamHandler, ~Copyable, Sendable {
    /// The guest's memory as decoded so far.
    private(set) var memory: GuestMemory?
    private(set) var statistics = RelayStatistics()
    /// Whether the stream that was ended had its description.
    var hasDescription = false

    private var frames = FrameWriter()
    private let wire: WireConnection
    private let phase: RelayPhase
    private let maximumRAMByteCount: UInt64

    init(wire: WireConnection, phase: RelayPhase, maximumRAMByteCount: UInt64) {
        self.wire = wire
        self.phase = phase
        self.maximumRAMByteCount = maximumRAMByteCount
    }

    /// Sends every frame written so far.
    mutating func flush() throws(MigrationError) {
        frames.close()
        phase.sentFrames = frames.sequence
        let byteCount = frames.output.count
        defer { statistics.wireBytes += UInt64(byteCount - frames.output.count) }
        try wire.flush(&frames)
    }

    private mutating func makeRoom() throws(MigrationError) {
        if !frames.hasRoom { try flush() }
    }

    mutating func hello() throws(MigrationError) {
        frames.hello()
        try flush()
    }

    mutating func end() throws(MigrationError) {
        phase.isWhole = true
        frames.frame(.end)
        try flush()
    }

    mutating func failed(_ message: String) throws(MigrationError) {
        frames.failed(message)
        try flush()
    }

    // MARK: StreamHandler

    mutating func streamBegan(version: UInt32) { frames.begin(streamVersion: version) }

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        frames.frame(.configuration, bytes)
    }

    mutating func sectionBegan(_ section: SectionHeader) throws(MigrationError) {
        try check(name: section.name)
        frames.section(section)
        try makeRoom()
    }

    mutating func blocksListed(_ list: [RAMBlockDescription]) throws(MigrationError) {
        for block in list { try check(name: block.name) }
        memory = try GuestMemory(accepting: list, maximumByteCount: maximumRAMByteCount)
        statistics.memoryBytes = list.reduce(0) { $0 + $1.usedByteCount }
        frames.blocks(list)
        try makeRoom()
    }

    /// Refuses a name that is no UTF-8, and has grown by being read as such.
    private func check(name: String) throws(MigrationError) {
        guard name.utf8.count <= 255 else {
            throw MigrationError(.malformed, "a name in the stream is no UTF-8: \(name)")
        }
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        guard memory?.holds(record, body) != true else {
            statistics.unchangedPages += 1
            return
        }
        try memory?.apply(record, body)
        statistics.count(record.kind)
        frames.page(record, body)
        try makeRoom()
    }

    mutating func multifdFlushed() throws(MigrationError) {
        throw MigrationRelay.multifdError
    }

    mutating func recordsEnded() throws(MigrationError) {
        frames.frame(.endOfRecords)
        try makeRoom()
    }

    mutating func opaque(_ bytes: RawSpan) throws(MigrationError) {
        var position = 0
        while position < bytes.byteCount {
            let end = min(position + WireFormat.payloadLimit, bytes.byteCount)
            frames.frame(.opaque, bytes.extracting(position..<end))
            position = end
            try makeRoom()
        }
    }

    mutating func sectionEnded(
        _ section: SectionHeader, hasFooter: Bool
    ) throws(MigrationError) {
        frames.endOfSection(section.id, hasFooter: hasFooter)
        try makeRoom()
    }

    mutating func command(
        _ command: StreamCommand, _ payload: RawSpan
    ) throws(MigrationError) {
        if command == .openReturnPath { phase.opensReturnPath = true }
        frames.command(command, payload)
        try makeRoom()
    }

    mutating func tail(_ bytes: RawSpan) throws(MigrationError) {
        statistics.isPastMemory = true
        phase.isPastMemory = true
        try opaque(bytes)
    }
}
