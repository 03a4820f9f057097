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

    init(
        _ memory: consuming GuestMemory, _ options: DestinationOptions
    ) {
        self.memory = memory
        self.options = options
    }

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

    mutating func recordsEnded() throws(MigrationError) {
        try decompressor?.drain()
    }

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
        let count = min(tail.room, bytes.byteCount)
        tail.append(bytes.extracting(0..<count))
    }

    /// Checks that all pages are decoded and the blocks are what the source had.
    ///
    /// - Throws: `MigrationError` of kind `malformed` or `mismatch`: the guest must not start.
    mutating func verify() throws(MigrationError) {
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

    mutating func count(streamBytes: UInt64) {
        statistics.streamBytes = streamBytes
    }

    /// Ends the threads.
    mutating func stop() {
        decompressor?.stop()
    }
}
