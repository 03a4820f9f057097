/// The head of a section: which handler of the machine its payload belongs to.
public struct SectionHeader: Sendable, Equatable {
    /// How a section continues one that began earlier; the raw value is the item byte.
    public enum Kind: UInt8, Sendable {
        /// The first part of a section in several.
        case start = 1
        /// A further part.
        case part = 2
        /// The last part, sent with the guest stopped.
        case end = 3
        /// A section in one piece: a device's state.
        case full = 4
    }

    /// Which part of the section this is.
    public let kind: Kind
    /// The number by which parts are matched, chosen by the source.
    public let id: UInt32
    /// The handler's name (`idstr`), of at most 255 bytes.
    public let name: String
    /// Which of several handlers of that name.
    public let instance: UInt32
    /// The version of the payload's layout.
    public let version: UInt32
    /// Where in the stream the section begins, in bytes.
    public let streamOffset: UInt64

    /// Describes the head of a section.
    ///
    /// - Parameters:
    ///   - kind: Which part of the section it is.
    ///   - id: The number by which parts are matched.
    ///   - name: The handler's name, 1 to 255 bytes.
    ///   - instance: Which of several handlers of that name.
    ///   - version: The version of the payload's layout.
    ///   - streamOffset: Where in the stream the section begins; no matter to a writer.
    public init(
        kind: Kind, id: UInt32, name: String, instance: UInt32, version: UInt32,
        streamOffset: UInt64 = 0
    ) {
        self.kind = kind
        self.id = id
        self.name = name
        self.instance = instance
        self.version = version
        self.streamOffset = streamOffset
    }

    /// Whether the section carries the guest's memory.
    public var isRAM: Bool { name == StreamFormat.ramSection }
}

/// A RAM block as a stream lists it.
public struct RAMBlockDescription: Sendable, Equatable {
    /// The block's id, such as `pc.ram` or `0000:00:01.0/vga.vram`.
    public let name: String
    /// The length in use, in bytes, a multiple of `pageByteCount`.
    public let usedByteCount: UInt64
    /// The backing's page size in bytes, where the stream tells it (postcopy and huge pages).
    public let backingPageByteCount: UInt64?
    /// The guest physical address, where the stream tells it (`x-ignore-shared`).
    public let guestAddress: UInt64?

    /// Describes a block.
    ///
    /// - Parameters:
    ///   - name: The id, 1 to 255 bytes.
    ///   - usedByteCount: The length in use, in bytes.
    ///   - backingPageByteCount: The backing's page size, where the stream is to tell it.
    ///   - guestAddress: The guest physical address, where the stream is to tell it.
    public init(
        name: String, usedByteCount: UInt64, backingPageByteCount: UInt64? = nil,
        guestAddress: UInt64? = nil
    ) {
        self.name = name
        self.usedByteCount = usedByteCount
        self.backingPageByteCount = backingPageByteCount
        self.guestAddress = guestAddress
    }
}

/// How a page travels in a stream.
public enum PageKind: UInt8, Sendable, CaseIterable {
    /// As one byte that fills the page, zero in practice.
    case zero
    /// As its 4,096 bytes.
    case plain
    /// As an XBZRLE delta against what the destination holds.
    case delta
    /// As a zlib stream.
    case compressed
}

/// One record of a page.
public struct PageRecord: Sendable, Equatable {
    /// How the page travels.
    public let kind: PageKind
    /// Which block, as an index into the stream's list.
    public let block: Int
    /// Where in the block, in bytes, a multiple of `pageByteCount`.
    public let offset: UInt64
    /// Where in the stream the record begins, in bytes.
    public let streamOffset: UInt64
    /// The length of the whole record in the stream, in bytes.
    public let byteCount: Int
}

/// What a stream says of the machine before anything else (the CONFIGURATION item).
public struct StreamConfiguration: Sendable, Equatable {
    /// The machine type, such as `pc-q35-7.2`.
    public let machineType: String
    /// The capabilities that both sides must have on (`configuration/capabilities`).
    public let capabilities: [String]
    /// The guest's UUID, where the stream tells it (`configuration/uuid`).
    public let uuid: String?
}

/// What takes the items of a stream as a ``StreamReader`` finds them.
///
/// Spans hold only during the call. An error thrown ends the reading and is passed on. There are no
/// implementations by default: an event that is passed over without being known of (pages that
/// travel elsewhere, blocks that were added) starts a guest that is not whole. So a type says of each
/// what it does with it: takes it, refuses it, or does nothing for a reason.
public protocol StreamHandler: ~Copyable {
    /// The file header was read.
    mutating func streamBegan(version: UInt32) throws(MigrationError)
    /// The machine is named; `bytes` is the item without its first byte.
    mutating func configured(
        _ configuration: StreamConfiguration, _ bytes: RawSpan
    ) throws(MigrationError)
    /// A section begins: its payload follows, as blocks and pages or as opaque bytes.
    mutating func sectionBegan(_ section: SectionHeader) throws(MigrationError)
    /// The RAM blocks are listed, once, before any page.
    mutating func blocksListed(_ blocks: [RAMBlockDescription]) throws(MigrationError)
    /// The list came again; blocks from index `first` on were added to the guest meanwhile.
    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError)
    /// A page: `body` is the fill byte, the page, the delta or the zlib stream.
    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError)
    /// The multifd channels were flushed at this point (`MULTIFD_FLUSH`).
    mutating func multifdFlushed() throws(MigrationError)
    /// The records of this section of memory ended (`EOS`).
    mutating func recordsEnded() throws(MigrationError)
    /// A piece of the payload of a section that is not understood.
    mutating func opaque(_ bytes: RawSpan) throws(MigrationError)
    /// The section ended, with a footer or without.
    mutating func sectionEnded(
        _ section: SectionHeader, hasFooter: Bool
    ) throws(MigrationError)
    /// A command, with its payload.
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) throws(MigrationError)
    /// A piece of what follows the memory: devices, the end of the file, the description.
    mutating func tail(_ bytes: RawSpan) throws(MigrationError)
}

extension MigrationError {
    /// Why blocks that a guest was given while it moves cannot be taken: for a ``StreamHandler`` that
    /// knows only the first list.
    ///
    /// - Parameters:
    ///   - blocks: The whole list.
    ///   - first: The index of the first new block.
    /// - Returns: An error of kind `unsupported`; `nil` where the list came again with none added.
    public static func addedBlocks(
        _ blocks: [RAMBlockDescription], from first: Int
    ) -> MigrationError? {
        guard first < blocks.count else { return nil }
        let name = blocks[first].name
        return MigrationError(
            .unsupported, block: name,
            "RAM block \(name) was added while the guest moved, which is not handled here: move the "
                + "guest again")
    }
}
