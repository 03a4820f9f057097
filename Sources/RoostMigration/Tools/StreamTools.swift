internal import RoostMemory
internal import RoostSystem

/// How far a tool has read its stream.
public struct StreamProgress: Sendable {
    /// Bytes of the file read.
    public let position: UInt64
    /// The file's size in bytes, where it has one.
    public let byteCount: UInt64?
}

/// What the tools on stored streams share: open, read whole, tell how far.
///
/// Each call blocks until the stream has been read, on the thread that makes it. Memory stays
/// below the guest's RAM and the description of its devices.
public enum StreamTools {
    /// Is told how far a tool is, after each piece of the file.
    public typealias Observer = (StreamProgress) -> Void

    /// Reads a whole stream.
    ///
    /// - Returns: What followed the memory.
    static func readWhole<Handler: StreamHandler & ~Copyable>(
        _ input: inout StreamInput, into handler: inout Handler, maximumRAMByteCount: UInt64,
        _ observer: Observer
    ) throws(MigrationError) -> DeviceTail {
        var reader = StreamReader(maximumRAMByteCount: maximumRAMByteCount)
        do throws(MigrationError) {
            while try input.pump(into: &reader, &handler) {
                try checkCancellation()
                observer(StreamProgress(position: input.position, byteCount: input.byteCount))
            }
            return try reader.finish()
        } catch {
            guard error.kind == .truncated, input.ignoredByteCount > 0 else {
                throw error.about(input.name)
            }
            throw MigrationError(
                .malformed, streamOffset: error.streamOffset,
                "\(input.name) is damaged: its \(input.packing.rawValue) data is followed by "
                    + "\(input.ignoredByteCount) bytes that are none, before the stream is whole")
        }
    }

    /// Throws when the task that runs a tool was cancelled.
    static func checkCancellation() throws(MigrationError) {
        guard !Task.isCancelled else {
            throw MigrationError(.cancelled, "cancelled: nothing was written")
        }
    }

    /// Sums up a stream without loading it.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - maximumRAMByteCount: The most memory the stream may announce; none is taken for it.
    ///   - observer: Is told how far it is.
    /// - Returns: The report, and the map of its pages as an SVG picture.
    /// - Throws: `MigrationError`: the first fault, with its offset.
    public static func inspect(
        path: String, maximumRAMByteCount: UInt64 = .max, _ observer: Observer
    ) throws(MigrationError) -> (report: StreamReport, pageMap: PageMap) {
        var input = try StreamInput.open(path: path)
        var inspection = StreamInspection()
        let tail = try readWhole(
            &input, into: &inspection, maximumRAMByteCount: maximumRAMByteCount, observer)
        inspection.finish(tail)
        return (
            StreamReport(inspection, tail, from: input),
            PageMap(inspection)
        )
    }

    /// Checks a whole stream: its grammar, every delta and compressed page, the devices.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - maximumRAMByteCount: The most memory the stream may announce.
    ///   - observer: Is told how far it is.
    /// - Returns: What was found to be whole.
    /// - Throws: `MigrationError`: the first fault, with its offset.
    public static func verify(
        path: String, maximumRAMByteCount: UInt64, _ observer: Observer
    ) throws(MigrationError) -> StreamReport {
        var input = try StreamInput.open(path: path)
        var loader = StreamLoader(maximumRAMByteCount: maximumRAMByteCount)
        let tail = try readWhole(
            &input, into: &loader, maximumRAMByteCount: maximumRAMByteCount, observer)
        try loader.checkPages()
        loader.inspection.finish(tail)
        return StreamReport(loader.inspection, tail, from: input)
    }

    /// Writes the final content of one RAM block: to a sparse file, or to a pipe with its zeros.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - block: The block's id.
    ///   - output: The file to write, or `-`.
    ///   - mayReplace: Whether an existing file that is not empty is replaced.
    ///   - maximumRAMByteCount: The most memory the stream may announce.
    ///   - observer: Is told how far it is.
    /// - Returns: How many pages the block has and how many the stream named.
    /// - Throws: `MigrationError`; no file is left behind then. A block of which the stream has no
    ///   page at all is one of kind `mismatch`.
    public static func extract(
        path: String, block: String, output: String, mayReplace: Bool = false,
        maximumRAMByteCount: UInt64, _ observer: Observer
    ) throws(MigrationError) -> ExtractionReport {
        var input = try StreamInput.open(path: path)
        let file = try OutputFile.open(output, mayReplace: mayReplace)
        var loader = StreamLoader(maximumRAMByteCount: maximumRAMByteCount, onlyBlock: block)
        _ = try readWhole(
            &input, into: &loader, maximumRAMByteCount: maximumRAMByteCount, observer)
        do throws(MigrationError) {
            let index = try loader.index(of: block)
            try loader.refuseMultifd()
            let found = loader.inspection.blocks[index]
            let pageCount = found.byteCount / UInt64(pageByteCount)
            guard found.pagesNamed > 0 || pageCount == 0 else { throw loader.absence(of: index) }
            try loader.memory?.write(block: index, to: file)
            try file.finish()
            return ExtractionReport(
                file: input.name, output: output, block: block, byteCount: found.byteCount,
                pages: pageCount, pagesNamed: found.pagesNamed)
        } catch {
            throw error.about(input.name)
        }
    }
}

/// What an extraction came to.
public struct ExtractionReport: Sendable, Encodable {
    /// The stream's file, as it was given.
    public let file: String
    /// The file that was written, as it was given.
    public let output: String
    /// The RAM block's id.
    public let block: String
    /// The block's length in bytes, which is that of the file.
    public let byteCount: UInt64
    /// How many pages the block has.
    public let pages: UInt64
    /// How many of them the stream names; the others are zeros in the file.
    public let pagesNamed: UInt64
}

/// Loads a stream into memory of its own and counts what it does.
struct StreamLoader: StreamHandler, ~Copyable {
    var inspection = StreamInspection()
    private(set) var memory: GuestMemory?
    private let maximumRAMByteCount: UInt64
    private let onlyBlock: String?
    private var onlyIndex: Int?

    /// Makes a loader of a stream yet to be read.
    ///
    /// - Parameters:
    ///   - maximumRAMByteCount: The most memory the stream may announce.
    ///   - onlyBlock: The one block whose pages are to be kept, or `nil` for all.
    init(maximumRAMByteCount: UInt64, onlyBlock: String? = nil) {
        self.maximumRAMByteCount = maximumRAMByteCount
        self.onlyBlock = onlyBlock
    }

    mutating func streamBegan(version: UInt32) { inspection.streamBegan(version: version) }

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        inspection.configured(configuration, bytes)
    }

    mutating func sectionBegan(_ section: SectionHeader) { inspection.sectionBegan(section) }

    mutating func blocksListed(_ list: [RAMBlockDescription]) throws(MigrationError) {
        memory = try GuestMemory(accepting: list, maximumByteCount: maximumRAMByteCount)
        inspection.blocksListed(list)
        if let onlyBlock { onlyIndex = list.firstIndex { $0.name == onlyBlock } ?? -1 }
    }

    mutating func blocksAdded(
        _ list: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(list, from: first) { throw error }
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        inspection.page(record, body)
        if onlyIndex == nil || onlyIndex == record.block { try memory?.apply(record, body) }
    }

    mutating func multifdFlushed() { inspection.multifdFlushed() }

    mutating func recordsEnded() { inspection.recordsEnded() }

    mutating func opaque(_ bytes: RawSpan) { inspection.opaque(bytes) }

    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {
        inspection.sectionEnded(section, hasFooter: hasFooter)
    }

    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        inspection.command(command, payload)
    }

    /// Of no matter: the reader walks the devices itself, and tells of them at the end.
    mutating func tail(_ bytes: RawSpan) {}

    /// Finds a block by its id.
    func index(of block: String) throws(MigrationError) -> Int {
        if let index = inspection.blocks.firstIndex(where: { $0.name == block }) { return index }
        guard !inspection.blocks.isEmpty else {
            throw MigrationError(
                .mismatch, block: block,
                "there is no memory in this stream, only the state of devices")
        }
        let names = inspection.blocks.map(\.name).joined(separator: ", ")
        throw MigrationError(
            .mismatch, block: block, "it has no RAM block \(block): it has \(names)")
    }

    /// Why nothing of a block is in the stream.
    func absence(of index: Int) -> MigrationError {
        let name = inspection.blocks[index].name
        let isShared = inspection.configuration?.capabilities.contains("x-ignore-shared") == true
        let reason =
            isShared
            ? "the guest was saved with x-ignore-shared, which leaves memory that a file backs where "
                + "it is: read that file (mem-path of the source's memory backend)"
            : "the source left the block out, or sent it on other connections (multifd): save the "
                + "guest with both x-ignore-shared and multifd off"
        return MigrationError(
            .mismatch, block: name,
            "no page of block \(name) is in this stream, so nothing was written; \(reason)")
    }

    /// Throws when the pages are not in this stream.
    func refuseMultifd() throws(MigrationError) {
        guard !inspection.usesMultifd else { throw Self.multifdError }
    }

    /// Throws when the stream has memory and none of its pages.
    func checkPages() throws(MigrationError) {
        try refuseMultifd()
        guard inspection.lacksPages else { return }
        try AbsentPages.check(
            memory: inspection.memoryByteCount, records: 0,
            stored: inspection.configuration?.capabilities ?? [])
    }

    static var multifdError: MigrationError {
        MigrationError(
            .unsupported,
            "the guest was sent with multifd, so its pages travelled on other channels and are "
                + "not in this stream: save it with the multifd capability off")
    }
}
