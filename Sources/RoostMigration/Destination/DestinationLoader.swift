internal import RoostMemory

/// Applies the items of a stream to a guest's memory, as ``MigrationDestination`` reads them.
///
/// Owned by the loading thread.
struct DestinationLoader: StreamHandler, ~Copyable {
    private(set) var memory: GuestMemory
    private(set) var statistics = DestinationStatistics()
    /// What the stream asked to be answered with a PONG.
    var unansweredPing: UInt32?
    private(set) var opensReturnPath = false
    /// Adds blocks that the guest was given, when the stream names one that is not here.
    var addedBlocks: () -> [MigratedBlock] = { [] }

    private let options: DestinationOptions
    private var decompressor: PageDecompressor?
    /// What follows the memory, as far as digests can reach.
    private var tail = ByteQueue(capacity: BlockDigest.sectionLimit)
    private var question = LastQuestion()

    init(
        _ memory: consuming GuestMemory, _ options: DestinationOptions
    ) {
        self.memory = memory
        self.options = options
    }

    // MARK: StreamHandler

    /// Of no matter: the reader refuses versions that it does not know.
    mutating func streamBegan(version: UInt32) {}

    /// Of no matter: the machine is of those that start the guest, and the reader refuses
    /// capabilities that would change what the stream is.
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}

    /// Of no matter: what is in a section comes by itself.
    mutating func sectionBegan(_ section: SectionHeader) {}

    mutating func blocksListed(_ list: [RAMBlockDescription]) throws(MigrationError) {
        try match(list)
        decompressor = try PageDecompressor(
            into: memory.space, blockNames: list.map(\.name),
            workerCount: options.decompressionThreads, dialect: options.dialect)
    }

    mutating func blocksAdded(
        _ list: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        try match(list)
        decompressor?.blockNames = list.map(\.name)
    }

    private mutating func match(_ list: [RAMBlockDescription]) throws(MigrationError) {
        if !list.allSatisfy({ memory.hasBlock(named: $0.name) }) {
            for block in addedBlocks() { try memory.add(block) }
        }
        try memory.match(list)
        statistics.memoryBytes = list.reduce(0) { $0 + $1.usedByteCount }
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        statistics.count(record.kind)
        if record.kind == .compressed {
            let page = try memory.receive(record)
            try decompressor?.inflate(body, of: record, page: page)
            return
        }
        if decompressor?.pendingCount ?? 0 > 0 {
            try decompressor?.wait(for: try memory.number(of: record))
        }
        if record.kind == .zero, options.refusesFilledPages { try refuseFill(record, body) }
        try memory.apply(record, body)
        if record.kind != .delta { decompressor?.replaced(page: try memory.number(of: record)) }
    }

    private func refuseFill(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        guard body.byteCount == 1 else { return }
        let fill = body.loadBigEndian(at: 0, as: UInt8.self)
        guard fill != 0 else { return }
        throw memory.fault(
            record, "a page filled with 0x\(hex(UInt64(fill))), and only zero is allowed")
    }

    mutating func multifdFlushed() throws(MigrationError) { throw MigrationRelay.multifdError }

    mutating func recordsEnded() throws(MigrationError) {
        try decompressor?.drain()
    }

    /// Of no matter: the state of devices is passed over.
    mutating func opaque(_ bytes: RawSpan) {}

    /// Of no matter, as its beginning.
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}

    mutating func command(
        _ command: StreamCommand, _ payload: RawSpan
    ) throws(MigrationError) {
        switch command {
        case .openReturnPath: opensReturnPath = true
        case .ping where payload.byteCount == 4:
            unansweredPing = payload.loadBigEndian(at: 0, as: UInt32.self)
        case .ping, .switchoverStart: break
        default:
            throw MigrationError(
                .unsupported,
                "the stream uses \(command.name), which is not handled here: migrate by precopy")
        }
    }

    mutating func tail(_ bytes: RawSpan) throws(MigrationError) {
        // Before a question behind the devices is answered.
        try checkPages()
        let count = min(tail.room, bytes.byteCount)
        tail.append(bytes.extracting(0..<count))
        question.take(bytes)
        if let ping = question.ping {
            opensReturnPath = true
            unansweredPing = ping
        }
    }

    /// Checks that all pages are decoded and the blocks are what the source had.
    ///
    /// - Throws: `MigrationError` of kind `malformed` or `mismatch`: the guest must not start.
    mutating func verify() throws(MigrationError) {
        try checkPages()
        try decompressor?.finish()
        guard let digests = try BlockDigest.read(tail.bytes) else {
            guard !options.requiresDigests else {
                throw MigrationError(
                    .mismatch,
                    "the stream has no digests of its blocks, which were asked for: have the "
                        + "source send them, or do without")
            }
            return
        }
        for digest in digests {
            guard let mine = try memory.digest(named: digest.name), mine == digest else {
                throw MigrationError(
                    .mismatch, block: digest.name,
                    "RAM block \(digest.name) is not what the source has: nothing was started, "
                        + "move the guest again and report this")
            }
        }
        statistics.isVerified = true
    }

    /// Refuses a stream that has brought no page at all.
    private func checkPages() throws(MigrationError) {
        guard statistics.pages == 0 else { return }
        try AbsentPages.check(memory: statistics.memoryBytes, records: 0)
        guard memory.blocks.allSatisfy({ $0.usedByteCount == 0 }) else {
            throw MigrationError(
                .mismatch,
                "the stream has no memory, only the state of devices, and this guest has: move it from "
                    + "a guest with the same memory")
        }
    }

    mutating func count(streamBytes: UInt64) {
        statistics.streamBytes = streamBytes
    }

    /// Ends the threads.
    mutating func stop() {
        decompressor?.stop()
    }
}

/// A PING behind the devices, with which a receiver asks whether all before it is loaded.
///
/// Whoever asks waits for the answer, so it is known by being the last that has come. What it stands
/// behind is not known without the devices, and need not be: an answer that nobody asked for is heard
/// by nobody.
private struct LastQuestion {
    /// `COMMAND`, be16 PING, be16 length 4, be32 value.
    private static let byteCount = 9
    private var last: [UInt8] = []

    mutating func take(_ bytes: RawSpan) {
        let count = min(bytes.byteCount, Self.byteCount)
        for index in bytes.byteCount - count..<bytes.byteCount {
            last.append(bytes.loadBigEndian(at: index, as: UInt8.self))
        }
        last.removeFirst(max(0, last.count - Self.byteCount))
    }

    /// What is asked, where that is the last that has come.
    var ping: UInt32? {
        guard last.count == Self.byteCount, last.starts(with: [8, 0, 2, 0, 4]) else { return nil }
        return last.suffix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}
