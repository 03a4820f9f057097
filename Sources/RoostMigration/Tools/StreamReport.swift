/// What `roost stream inspect` tells of a stream, as one value that encodes to JSON.
public struct StreamReport: Sendable, Encodable {
    /// The totals of the memory.
    public struct Memory: Sendable, Encodable {
        /// The RAM blocks in bytes.
        public let byteCount: UInt64
        /// How often the source went over the memory.
        public let rounds: Int
        /// Records that fill a page with one byte.
        public let zero: StreamInspection.Tally
        /// Records of whole pages.
        public let plain: StreamInspection.Tally
        /// XBZRLE records.
        public let xbzrle: StreamInspection.Tally
        /// zlib records.
        public let compressed: StreamInspection.Tally
        /// How many different pages the stream names.
        public let pagesNamed: UInt64
        /// How many pages it names more than once.
        public let pagesSentAgain: UInt64
    }

    /// A device that the stream's own description lists.
    public struct Device: Sendable, Encodable {
        /// The section's name.
        public let name: String
        /// Which of several.
        public let instance: UInt32
        /// The layout's name.
        public let layout: String?
        /// The length of its state in bytes.
        public let byteCount: Int
    }

    /// The file's name, as it was given.
    public let file: String
    /// How the file is packed: `none`, `gzip` or `zstd`.
    public let packing: String
    /// Whether `virsh save` wrote the file.
    public let isLibvirtSave: Bool
    /// The version in the file header.
    public let streamVersion: UInt32
    /// The machine type, absent for machine types up to 2.3.
    public let machineType: String?
    /// The capabilities that a destination must have on.
    public let capabilities: [String]
    /// The guest's UUID, where the stream tells it.
    public let uuid: String?
    /// The whole stream in bytes, unpacked.
    public let byteCount: UInt64
    /// Bytes behind the end of the stream.
    public let trailingByteCount: Int
    /// Bytes of the file behind its packed data.
    public let ignoredByteCount: UInt64
    /// Whether footers end the sections.
    public let hasFooters: Bool
    /// Whether pages travelled on multifd channels beside this stream.
    public let usesMultifd: Bool
    /// Whether memory is listed of which no page is in this stream.
    public let lacksPages: Bool
    /// The commands among the sections up to the end of the memory, by QEMU's names.
    public let commands: [String]
    /// The totals of all blocks.
    public let memory: Memory
    /// The RAM blocks, in the order of the stream's list.
    public let blocks: [StreamInspection.Block]
    /// The sections, in the order of the stream.
    public let sections: [StreamInspection.Section]
    /// Absent when the stream carries no description.
    public let devices: [Device]?

    /// Sums up a stream that was read to its end.
    ///
    /// - Parameters:
    ///   - inspection: What its records came to.
    ///   - tail: What followed the memory.
    ///   - input: Where it came from.
    init(
        _ inspection: StreamInspection, _ tail: borrowing DeviceTail,
        from input: borrowing StreamInput
    ) {
        func total(
            _ tally: KeyPath<StreamInspection.Block, StreamInspection.Tally>
        ) -> StreamInspection.Tally {
            inspection.blocks.reduce(into: StreamInspection.Tally()) { sum, block in
                sum.pages += block[keyPath: tally].pages
                sum.bytes += block[keyPath: tally].bytes
            }
        }
        file = input.name
        packing = input.packing.rawValue
        isLibvirtSave = input.isLibvirtSave
        streamVersion = inspection.version
        machineType = inspection.configuration?.machineType
        capabilities = inspection.configuration?.capabilities ?? []
        uuid = inspection.configuration?.uuid
        byteCount = tail.streamByteCount
        trailingByteCount = tail.trailingByteCount
        ignoredByteCount = input.ignoredByteCount
        hasFooters = inspection.hasFooters ?? false
        usesMultifd = inspection.usesMultifd
        lacksPages = inspection.lacksPages
        commands = inspection.commands
        memory = Memory(
            byteCount: inspection.memoryByteCount,
            rounds: inspection.rounds, zero: total(\.zero), plain: total(\.plain),
            xbzrle: total(\.xbzrle), compressed: total(\.compressed),
            pagesNamed: inspection.blocks.reduce(0) { $0 + $1.pagesNamed },
            pagesSentAgain: inspection.blocks.reduce(0) { $0 + $1.pagesSentAgain })
        blocks = inspection.blocks
        sections = inspection.sections
        devices = tail.description?.devices.map {
            Device(
                name: $0.name, instance: $0.instance, layout: $0.layout, byteCount: $0.byteCount)
        }
    }
}
