public import RoostMigration

/// A recorded stream with an edit, and what Roost and QEMU make of it.
///
/// One table for the tests, which run Roost, and for the laboratory, which runs QEMU beside it.
public struct UnusualStream: Sendable, CustomStringConvertible {
    /// What becomes of a stream in Roost.
    public enum Verdict: Sendable {
        /// It is whole.
        case accepted
        /// It is refused with an error of this kind whose text contains all of these.
        case refused(MigrationError.Kind, says: [String])
    }

    /// What becomes of a stream in QEMU 7.2.22.
    public enum QEMUVerdict: Sendable {
        /// It loads; standard error contains the text, where there is one.
        case accepted(String? = nil)
        /// The process ends with status 1; standard error contains all of these.
        case refused([String])
        /// A signal ends the process; standard error contains the text.
        case crashed(String)
        /// Not tried: QEMU waits for something else and never ends.
        case waits
    }

    /// What was done, as the name of a test.
    public let description: String
    /// The recording that was edited.
    public let recording: String
    /// What becomes of it in Roost.
    public let roost: Verdict
    /// The block that Roost's error names.
    public let block: String?
    /// The offset in the block that Roost's error names.
    public let blockOffset: UInt64?
    /// What becomes of it in QEMU 7.2, started for the machine of the recording.
    public let qemu: QEMUVerdict
    /// Capabilities that QEMU's destination has on.
    public let capabilities: [String]
    /// Whether only who knows the destination's blocks can tell: Roost is given those.
    public let needsBlocks: Bool
    /// Why Roost's verdict is not QEMU's, where it is not.
    public let difference: String?

    /// Whether QEMU would wait for ever.
    public var isWaitedFor: Bool { if case .waits = qemu { true } else { false } }

    /// Whether Roost takes it.
    public var isTaken: Bool { if case .accepted = roost { true } else { false } }

    private let edit: @Sendable (inout StreamEdit) -> Void

    init(
        _ description: String, of recording: String = "7.2-q35-paused.stream", _ roost: Verdict,
        block: String? = nil, at blockOffset: UInt64? = nil, qemu: QEMUVerdict,
        capabilities: [String] = [], needsBlocks: Bool = false, because difference: String? = nil,
        _ edit: @escaping @Sendable (inout StreamEdit) -> Void
    ) {
        self.description = description
        self.recording = recording
        self.roost = roost
        self.block = block
        self.blockOffset = blockOffset
        self.qemu = qemu
        self.capabilities = capabilities
        self.needsBlocks = needsBlocks
        self.difference = difference
        self.edit = edit
    }

    /// The edited stream.
    public func bytes() throws -> [UInt8] {
        var stream = try StreamEdit(recording)
        edit(&stream)
        return stream.bytes
    }

    /// The blocks of the recording's machine, as a destination of the same options has them.
    public func destinationBlocks() throws -> [RAMBlock] {
        try StreamEdit(recording).map.blocks.map { block, _ in
            // QEMU: hw/i386/acpi-build.h and hw/acpi/bios-linker-loader.c, the rom_max_size of each.
            let maximum: UInt64? =
                switch block.name {
                case "/rom@etc/acpi/tables": 0x20_0000
                case "/rom@etc/table-loader": 0x1_0000
                default: nil
                }
            return RAMBlock(
                name: block.name, usedByteCount: block.usedByteCount, maximumByteCount: maximum)
        }
    }

    /// Every row.
    public static let all =
        heads + sections + blockLists + records + deltas + compressedPages
        + commands + ends

    private static func integer<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        StreamEdit.integer(value)
    }

    private static func subsection(_ name: String, _ body: [UInt8]) -> [UInt8] {
        [5] + StreamEdit.counted(name) + integer(UInt32(1)) + body
    }

    private static let noMachine = "Roost has no machine of its own to compare with"

    // MARK: The head of the stream

    private static let heads: [UnusualStream] = [
        UnusualStream(
            "another magic", .refused(.malformed, says: ["not a migration stream", "offset 0"]),
            qemu: .refused(["Not a migration stream", "Invalid argument"])
        ) { $0.overwrite(0, [0x50]) },
        UnusualStream(
            "version 2", .refused(.unsupported, says: ["version 2"]),
            qemu: .refused([
                "SaveVM v2 format is obsolete and don't work anymore", "Operation not supported",
            ])
        ) { $0.overwrite(4, integer(UInt32(2))) },
        UnusualStream(
            "version 4", .refused(.unsupported, says: ["version 4"]),
            qemu: .refused(["Unsupported migration stream version", "Operation not supported"])
        ) { $0.overwrite(4, integer(UInt32(4))) },
        UnusualStream(
            "no CONFIGURATION", .accepted,
            qemu: .refused(["Configuration section missing", "Invalid argument"]),
            because: "machine types up to 2.3 send none, and Roost has no machine of its own"
        ) { $0.replace($0.map.configuration, []) },
        UnusualStream(
            "another machine type", .accepted,
            qemu: .refused([
                "Machine type received is 'pc-q35-7.1' and local is 'pc-q35-7.2'",
                "Invalid argument",
            ]), because: noMachine
        ) { $0.overwrite($0.map.configuration.upperBound - 1, Array("1".utf8)) },
        UnusualStream(
            "a CONFIGURATION cut short", .refused(.truncated, says: ["offset 8", "cut short"]),
            qemu: .refused(["Failed to load configuration:name", "Input/output error"])
        ) { $0.cut(at: 18) },
        UnusualStream(
            "a CONFIGURATION whose machine type is too long",
            .refused(.limit, says: ["machine type of 4294967295 bytes"]),
            qemu: .crashed("failed to allocate")
        ) { $0.overwrite(9, integer(UInt32.max)) },
        UnusualStream(
            "an unknown part of CONFIGURATION",
            .refused(.unsupported, says: ["configuration/foo"]),
            qemu: .refused(["No such file or directory"])
        ) { $0.insert(subsection("configuration/foo", []), at: $0.map.configuration.upperBound) },
        UnusualStream(
            "a part of CONFIGURATION that comes twice",
            .refused(.malformed, says: ["configuration/uuid", "twice"]),
            qemu: .accepted("UUID is received"), because: "no source writes it"
        ) {
            let part = subsection("configuration/uuid", [UInt8](repeating: 7, count: 16))
            $0.insert(part + part, at: $0.map.configuration.upperBound)
        },
        UnusualStream(
            "a capability that the destination has off", of: "7.2-q35-ignore-shared.stream",
            .accepted,
            qemu: .refused([
                "Capability x-ignore-shared is off, but received capability is on",
                "Invalid argument",
            ]), because: noMachine
        ) { _ in },
        UnusualStream(
            "an unknown capability", .refused(.unsupported, says: ["capability foo"]),
            qemu: .refused([
                "Received unknown capability foo",
                "Failed to load configuration/capabilities:capabilities", "Invalid argument",
            ])
        ) {
            $0.insert(
                subsection(
                    "configuration/capabilities", integer(UInt32(1)) + StreamEdit.counted("foo")),
                at: $0.map.configuration.upperBound)
        },
        UnusualStream(
            "pages of 8 KiB", .refused(.unsupported, says: ["8192"]),
            qemu: .refused(["Received TARGET_PAGE_BITS is 13 but local is 12", "Invalid argument"])
        ) {
            $0.insert(
                subsection("configuration/target-page-bits", integer(UInt32(13))),
                at: $0.map.configuration.upperBound)
        },
        UnusualStream(
            "a uuid, and none here", of: "7.2-q35-uuid.stream", .accepted,
            qemu: .accepted("UUID is received 00112233-4455-6677-8899-aabbccddeeff")
        ) { _ in },
    ]

    // MARK: Sections

    private static let sections: [UnusualStream] = [
        UnusualStream(
            "an unknown item", .refused(.malformed, says: ["unknown item 0x9", "offset 23"]),
            qemu: .refused(["Unknown savevm section type 9", "Invalid argument"])
        ) { $0.overwrite($0.map.configuration.upperBound, [9]) },
        UnusualStream(
            "a second CONFIGURATION", .refused(.malformed, says: ["second CONFIGURATION"]),
            qemu: .refused(["Unknown savevm section type 7", "Invalid argument"])
        ) {
            let copy = Array($0.bytes[$0.map.configuration])
            $0.insert(copy, at: $0.map.configuration.upperBound)
        },
        UnusualStream(
            "a section without a name", .refused(.malformed, says: ["section 2 has no name"]),
            qemu: .refused(["Unable to read ID string for section 2", "Invalid argument"])
        ) {
            let name = $0.map.configuration.upperBound + 5
            $0.replace(name..<name + 4, [0])
        },
        UnusualStream(
            "a second instance of the memory",
            .refused(.malformed, says: ["section ram has instance 1"]),
            qemu: .refused(["Unknown savevm section or instance 'ram' 1.", "Invalid argument"])
        ) { $0.overwrite($0.total - 8, integer(UInt32(1))) },
        UnusualStream(
            "version 5 of the memory", .refused(.unsupported, says: ["section ram has version 5"]),
            qemu: .refused(["savevm: unsupported version 5 for 'ram' v4", "Invalid argument"])
        ) { $0.overwrite($0.total - 4, integer(UInt32(5))) },
        UnusualStream(
            "version 3 of the memory", .refused(.unsupported, says: ["section ram has version 3"]),
            qemu: .refused([
                "error while loading state for instance 0x0 of device 'ram'", "Invalid argument",
            ])
        ) { $0.overwrite($0.total - 4, integer(UInt32(3))) },
        UnusualStream(
            "the memory begins twice", .refused(.malformed, says: ["that of an earlier section"]),
            qemu: .accepted(), because: "no source writes it, and parts are matched by the number"
        ) {
            let start = $0.section(.start)
            let copy = Array($0.bytes[start.payload - 17..<start.end])
            $0.insert(copy, at: start.end)
        },
        UnusualStream(
            "a part of a section that has not begun",
            .refused(.malformed, says: ["section 77, which has not begun"]),
            qemu: .refused(["Unknown savevm section 77", "Invalid argument"])
        ) { $0.overwrite($0.section(.part).payload - 4, integer(UInt32(77))) },
        UnusualStream(
            "a missing footer", .refused(.malformed, says: ["section ram (id 2)", "footer"]),
            qemu: .refused(["Missing section footer for ram", "Invalid argument"])
        ) {
            let part = $0.section(.part)
            $0.replace(part.footer..<part.end, [])
        },
        UnusualStream(
            "the first footer missing",
            .refused(.malformed, says: ["section ram (id 2)", "footer"]),
            qemu: .refused(["Missing section footer for ram", "Invalid argument"])
        ) {
            let start = $0.section(.start)
            $0.replace(start.footer..<start.end, [])
        },
        UnusualStream(
            "another section's footer",
            .refused(.malformed, says: ["footer of section ram has id 9, not 2"]),
            qemu: .refused([
                "Mismatched section id in footer for ram - read 0x9 expected 0x2",
                "Invalid argument",
            ])
        ) { $0.overwrite($0.section(.part).footer + 1, integer(UInt32(9))) },
    ]

    // MARK: The block list

    private static let blockLists: [UnusualStream] = [
        UnusualStream(
            "no list of blocks", .refused(.malformed, says: ["begin with the list of RAM blocks"]),
            qemu: .refused(["Missing section footer for ram", "Invalid argument"])
        ) { $0.overwrite($0.total, StreamEdit.record(0x10)) },
        UnusualStream(
            "a block that the destination has not", .refused(.mismatch, says: ["pc.bioz"]),
            block: "pc.bioz",
            qemu: .refused([
                "Unknown ramblock \"pc.bioz\", cannot accept migration", "Invalid argument",
            ]), needsBlocks: true
        ) { $0.overwrite($0.block("pc.bios").start + 7, Array("z".utf8)) },
        UnusualStream(
            "a block of another length",
            .refused(.mismatch, says: ["pc.ram", "4263936 bytes in the stream", "4259840 here"]),
            block: "pc.ram",
            qemu: .refused([
                "Size mismatch: pc.ram: 0x411000 != 0x410000: Invalid argument"
            ]), needsBlocks: true
        ) { $0.setByteCount(0x41_1000, of: "pc.ram") },
        UnusualStream(
            "a resizable block above its maximum",
            .refused(.mismatch, says: ["/rom@etc/acpi/tables", "at most 2097152"]),
            block: "/rom@etc/acpi/tables",
            qemu: .refused([
                "Size too large: /rom@etc/acpi/tables: 0x220000 > 0x200000: Invalid argument"
            ]), needsBlocks: true
        ) { $0.setByteCount(0x22_0000, of: "/rom@etc/acpi/tables") },
        UnusualStream(
            "a resizable block that grew", .accepted, qemu: .accepted(), needsBlocks: true
        ) { $0.setByteCount(0x4_0000, of: "/rom@etc/acpi/tables") },
        UnusualStream(
            "a block longer than what is left of the total",
            .refused(
                .malformed,
                says: ["rsdp has 8192 bytes, but only 4096 of the announced total are left"]),
            block: "/rom@etc/acpi/rsdp",
            qemu: .refused(["Size too large: /rom@etc/acpi/rsdp: 0x2000 > 0x1000"])
        ) {
            let entry = $0.block("/rom@etc/acpi/rsdp")
            $0.overwrite(entry.start + 19, integer(UInt64(0x2000)))
        },
        UnusualStream(
            "a total that the blocks do not reach",
            .refused(.malformed, says: ["RAM block without a name"]),
            qemu: .refused(["Unknown ramblock \"\", cannot accept migration", "Invalid argument"])
        ) { $0.addToTotal(0x1000) },
        UnusualStream(
            "a total that the blocks pass",
            .refused(.malformed, says: ["unknown combination of record flags"]),
            qemu: .refused(["Received an unexpected compressed page", "Invalid argument"])
        ) { $0.addToTotal(-0x1000) },
        UnusualStream(
            "a block of a page and a half",
            .refused(.malformed, says: ["not whole pages"]), block: "pc.rom",
            qemu: .refused(["Size mismatch: pc.rom"])
        ) {
            let entry = $0.block("pc.rom")
            $0.overwrite(entry.start + 7, integer(UInt64(0x1800)))
        },
        UnusualStream(
            "a block that is listed twice", .refused(.malformed, says: ["pc.rom is listed twice"]),
            block: "pc.rom", qemu: .accepted(), because: "its pages could not be told apart"
        ) {
            let entry = $0.block("pc.rom")
            let copy = Array($0.bytes[entry.start..<entry.start + 15])
            $0.addToTotal(Int64(entry.description.usedByteCount))
            $0.insert(copy, at: entry.start)
        },
        UnusualStream(
            "a block whose name is no text", .refused(.malformed, says: ["UTF-8"]),
            block: "pc.bio\u{fffd}",
            qemu: .refused(["Unknown ramblock", "Invalid argument"])
        ) { $0.overwrite($0.block("pc.bios").start + 7, [0xff]) },
        UnusualStream("a second list", .accepted, qemu: .accepted()) {
            let start = $0.section(.start)
            let list = Array($0.bytes[start.payload..<start.footer - 8])
            $0.insert(list, at: $0.firstRecords)
        },
        UnusualStream(
            "a second list without the last blocks",
            .refused(.malformed, says: ["ends before block"]), block: "/rom@etc/acpi/tables",
            qemu: .accepted(), because: "no source takes blocks away while it sends"
        ) {
            let first = $0.block("pc.ram")
            let entry = Array($0.bytes[first.start..<first.start + 15])
            $0.insert(
                integer(first.description.usedByteCount | 4) + entry, at: $0.firstRecords)
        },
        UnusualStream(
            "a second list in another order",
            .refused(.malformed, says: ["where pc.ram was listed"]), block: "pc.rom",
            qemu: .accepted(), because: "pages continue blocks by their place in the list"
        ) {
            let block = $0.block("pc.rom")
            let entry = Array($0.bytes[block.start..<block.start + 15])
            $0.insert(
                integer(block.description.usedByteCount | 4) + entry, at: $0.firstRecords)
        },
    ]

    // MARK: Records

    private static let records: [UnusualStream] = [
        UnusualStream(
            "a page that continues no block", .refused(.malformed, says: ["there is none"]),
            qemu: .refused([
                "Ack, bad migration stream!", "Illegal RAM offset 0", "Invalid argument",
            ])
        ) { $0.insert(StreamEdit.record(0x22, [0]), at: $0.firstRecords) },
        UnusualStream(
            "a page of an unknown block",
            .refused(.malformed, says: ["RAM block pc.rax, which is not in the list"]),
            block: "pc.rax",
            qemu: .refused([
                "Can't find block pc.rax", "Illegal RAM offset 0", "Invalid argument",
            ])
        ) { $0.insert(StreamEdit.record(0x02, block: "pc.rax", [0]), at: $0.firstRecords) },
        UnusualStream(
            "a page behind the end of its block",
            .refused(.malformed, says: ["block pc.ram offset 0x410000", "outside the block"]),
            block: "pc.ram", at: 0x41_0000,
            qemu: .refused(["Illegal RAM offset 410000", "Invalid argument"])
        ) {
            $0.insert(
                StreamEdit.record(0x02, offset: 0x41_0000, block: "pc.ram", [0]),
                at: $0.firstRecords)
        },
        UnusualStream(
            "a page far behind the end of its block",
            .refused(.malformed, says: ["block pc.rom offset 0xfffffffffffff000"]),
            block: "pc.rom", at: 0xffff_ffff_ffff_f000,
            qemu: .refused(["Illegal RAM offset fffffffffffff000", "Invalid argument"])
        ) {
            $0.insert(
                StreamEdit.record(0x02, offset: ~0xfff, block: "pc.rom", [0]),
                at: $0.firstRecords)
        },
        UnusualStream(
            "a page at the same time zero and plain",
            .refused(.malformed, says: ["unknown combination of record flags 0xa"]),
            qemu: .refused(["Unknown combination of migration flags: 0xa", "Invalid argument"])
        ) { $0.insert(StreamEdit.record(0x0a, block: "pc.ram", [0]), at: $0.firstRecords) },
        UnusualStream(
            "a page and the end of the section",
            .refused(.malformed, says: ["unknown combination of record flags 0x18"]),
            qemu: .refused(["Unknown combination of migration flags: 0x18", "Invalid argument"])
        ) { $0.insert(StreamEdit.record(0x18, block: "pc.ram"), at: $0.firstRecords) },
        UnusualStream(
            "the obsolete record FULL",
            .refused(.malformed, says: ["unknown combination of record flags 0x1"]),
            qemu: .refused(["Unknown combination of migration flags: 0x1", "Invalid argument"])
        ) { $0.insert(StreamEdit.record(0x01), at: $0.firstRecords) },
        UnusualStream(
            "no flags", .refused(.malformed, says: ["unknown combination of record flags 0x0"]),
            qemu: .refused(["Unknown combination of migration flags: 0x0", "Invalid argument"])
        ) { $0.insert(StreamEdit.record(0), at: $0.firstRecords) },
        UnusualStream(
            "a HOOK record", .refused(.unsupported, says: ["HOOK", "RDMA"]),
            qemu: .refused(["error while loading state section id 2(ram)"])
        ) { $0.insert(StreamEdit.record(0x80), at: $0.firstRecords) },
        UnusualStream(
            "a MULTIFD_FLUSH record", .refused(.unsupported, says: ["multifd"]),
            qemu: .refused(["Unknown combination of migration flags: 0x200", "Invalid argument"])
        ) { $0.insert(StreamEdit.record(0x200), at: $0.firstRecords) },
        UnusualStream(
            "an end of records with an offset", .accepted, qemu: .accepted()
        ) { $0.overwrite($0.map.recordEnds[1], StreamEdit.record(0x10, offset: 0x3000)) },
        UnusualStream(
            "an end of records that continues", .accepted, qemu: .accepted()
        ) { $0.overwrite($0.map.recordEnds[1], StreamEdit.record(0x30)) },
        UnusualStream(
            "a page filled with 0x5a", .accepted,
            qemu: .accepted(), because: nil
        ) {
            let record = $0.map.pages.last { $0.kind == .zero }
            $0.overwrite($0.body(of: record ?? $0.first(.zero), count: 1), [0x5a])
        },
        UnusualStream(
            "a cut in a record's word", .refused(.truncated, says: ["section ram (id 2)"]),
            qemu: .refused(["Unknown combination of migration flags: 0x0", "Invalid argument"])
        ) { $0.cut(at: Int($0.first(.plain).streamOffset) + 4) },
        UnusualStream(
            "a cut in a page", .refused(.truncated, says: ["section ram (id 2)", "cut short"]),
            qemu: .refused([
                "error while loading state section id 2(ram)", "Input/output error",
            ])
        ) { $0.cut(at: $0.body(of: $0.first(.plain), count: 100)) },
    ]

    // MARK: XBZRLE

    private static let deltaRecording = "7.2-q35-xbzrle.stream"

    /// A row that edits the first delta of a recording.
    private static func delta(
        _ description: String, says: [String], qemu: String,
        _ edit: @escaping @Sendable (inout StreamEdit, _ head: Int, _ record: PageRecord) -> Void
    ) -> UnusualStream {
        let offset = firstDelta?.offset ?? 0
        let digits = String(offset, radix: 16)
        return UnusualStream(
            description, of: deltaRecording,
            .refused(.malformed, says: ["block pc.ram offset 0x\(digits)"] + says),
            block: "pc.ram", at: offset,
            qemu: .refused([
                "Failed to load XBZRLE page - \(qemu)!",
                "Failed to decompress XBZRLE page at \(digits)", "Invalid argument",
            ])
        ) { stream in
            let record = stream.first(.delta)
            // be64 word │ [u8 length, id] │ u8 encoding │ be16 length
            let word = Int(record.streamOffset)
            let continues = stream.bytes[word + 7] & 0x20 != 0
            let head = word + 8 + (continues ? 0 : 1 + Int(stream.bytes[word + 8]))
            edit(&stream, head, record)
        }
    }

    private static let firstDelta = try? StreamEdit(deltaRecording).first(.delta)

    private static let deltas: [UnusualStream] = [
        delta("a delta of an unknown encoding", says: ["encoding 2"], qemu: "wrong compression") {
            stream, head, _ in stream.overwrite(head, [2])
        },
        delta(
            "a delta longer than a page", says: ["delta of 4097 bytes"], qemu: "len overflow"
        ) { stream, head, _ in stream.overwrite(head + 1, integer(UInt16(4097))) },
        delta("a delta with an empty run", says: ["cannot be decoded"], qemu: "decode error") {
            $0.replace($1 + 1..<Int($2.streamOffset) + $2.byteCount, [0, 2, 3, 0])
        },
        delta("a delta cut short", says: ["cannot be decoded"], qemu: "decode error") {
            $0.replace($1 + 1..<Int($2.streamOffset) + $2.byteCount, [0, 3, 0, 4, 1])
        },
        delta("a delta past the page", says: ["cannot be decoded"], qemu: "decode error") {
            $0.replace(
                $1 + 1..<Int($2.streamOffset) + $2.byteCount, [0, 5, 0xff, 0x1f, 2, 1, 1])
        },
        UnusualStream(
            "a delta of no bytes", of: deltaRecording, .accepted, qemu: .accepted()
        ) {
            let end = Int($0.first(.delta).streamOffset) + $0.first(.delta).byteCount
            $0.insert(StreamEdit.record(0x60, [1, 0, 0]), at: end)
        },
        UnusualStream(
            "a delta against a page that was never sent",
            .refused(.malformed, says: ["block pc.ram offset 0x0", "never sent"]),
            block: "pc.ram", at: 0, qemu: .accepted(),
            because: "QEMU takes the page as it happens to be, which the source cannot know"
        ) {
            $0.insert(
                StreamEdit.record(0x40, block: "pc.ram", [1, 0, 3, 0, 1, 0x5a]),
                at: $0.firstRecords)
        },
    ]

    // MARK: Compressed pages

    /// A row whose first part is a compressed page of these bytes.
    private static func compressed(
        _ description: String, _ roost: Verdict, qemu: QEMUVerdict,
        announcing byteCount: Int? = nil, _ body: [UInt8]
    ) -> UnusualStream {
        let isRefused =
            switch roost {
            case .accepted: false
            case .refused: true
            }
        return UnusualStream(
            description, of: "7.2-pc-compress.stream", roost,
            block: isRefused ? "pc.ram" : nil, at: isRefused ? 0x3000 : nil, qemu: qemu,
            capabilities: ["compress"]
        ) {
            $0.insertPart(
                StreamEdit.record(
                    0x100, offset: 0x3000, block: "pc.ram",
                    integer(UInt32(truncatingIfNeeded: byteCount ?? body.count)) + body))
        }
    }

    private static let undecodable = Verdict.refused(
        .malformed, says: ["block pc.ram offset 0x3000", "compressed page cannot be decoded"])
    private static let inflateFailed = QEMUVerdict.refused([
        "decompress data failed", "Operation not permitted",
    ])

    // Made with zlib's own deflate, level 9.
    private static let pageOf5A: [UInt8] = [
        0x78, 0xda, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0x9e, 0xef, 0x1f, 0xc4,
        0x1e, 0x0e, 0x28, 0x00, 0x00, 0x00, 0xe0, 0xdd, 0x00, 0x83, 0x4b, 0xa0, 0x4c,
    ]
    private static let zeros4097: [UInt8] = [
        0x78, 0xda, 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf7, 0x4f, 0x6d, 0x0f,
        0x07, 0x14, 0x00, 0x00, 0x00, 0x70, 0x6f, 0x10, 0x01, 0x00, 0x01,
    ]
    private static let fiveBytes: [UInt8] = [
        0x78, 0xda, 0x2b, 0xca, 0xcf, 0x2f, 0x2e, 0x01, 0x00, 0x06, 0xa2, 0x02, 0x38,
    ]
    private static let gzipPage: [UInt8] = [
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x01, 0x0d, 0x00,
        0x00, 0x00, 0xc2, 0xa0, 0xf7, 0x4f, 0x6d, 0x0f, 0x07, 0x14, 0x00, 0x00, 0x00, 0xf0, 0x6e,
        0x11, 0x00, 0x1c, 0xc7, 0x00, 0x10, 0x00, 0x00,
    ]

    private static let compressedPages: [UnusualStream] = [
        compressed("a compressed page", .accepted, qemu: .accepted(), pageOf5A),
        compressed(
            "a compressed page of five bytes", .accepted, qemu: .accepted(), fiveBytes),
        compressed(
            "bytes behind a compressed page", .accepted, qemu: .accepted(), pageOf5A + [1, 2, 3]),
        compressed(
            "a compressed page of 4,097 bytes", undecodable, qemu: inflateFailed, zeros4097),
        compressed("a compressed page of no bytes", undecodable, qemu: inflateFailed, []),
        compressed(
            "a compressed page without its end", undecodable, qemu: inflateFailed,
            Array(pageOf5A.dropLast(4))),
        compressed(
            "a compressed page with another checksum", undecodable, qemu: inflateFailed,
            pageOf5A.dropLast() + [0x4d]),
        compressed(
            "a compressed page without zlib's head", undecodable, qemu: inflateFailed,
            Array(pageOf5A.dropFirst(2).dropLast(4))),
        compressed("a page compressed with gzip", undecodable, qemu: inflateFailed, gzipPage),
        compressed(
            "a compressed page above zlib's bound",
            .refused(
                .malformed,
                says: ["block pc.ram offset 0x3000", "compressed page of 4111 bytes", "4110"]),
            qemu: .refused(["Invalid compressed data length: 4111", "Invalid argument"]),
            announcing: 4111, pageOf5A),
        compressed(
            "a compressed page of minus one bytes",
            .refused(.malformed, says: ["compressed page of 4294967295 bytes"]),
            qemu: .refused(["Invalid compressed data length: -1", "Invalid argument"]),
            announcing: -1, pageOf5A),
        UnusualStream(
            "compressed pages where compress is off", of: "7.2-pc-compress.stream", .accepted,
            qemu: .refused(["Received an unexpected compressed page", "Invalid argument"]),
            because: "Roost needs no leave to decode"
        ) { _ in },
    ]

    // MARK: Commands

    private static func command(
        _ description: String, _ roost: Verdict, qemu: QEMUVerdict,
        because difference: String? = nil,
        _ number: UInt16, _ payload: [UInt8] = []
    ) -> UnusualStream {
        UnusualStream(description, roost, qemu: qemu, because: difference) {
            let item =
                [8] + integer(number) + integer(UInt16(truncatingIfNeeded: payload.count)) + payload
            $0.insert(item, at: $0.map.configuration.upperBound)
        }
    }

    private static let commands: [UnusualStream] = [
        command(
            "an unknown command", .refused(.malformed, says: ["unknown command 0x63"]),
            qemu: .refused(["MIG_CMD 0x63 unknown (len 0x0)", "Invalid argument"]), 0x63),
        command(
            "command 0", .refused(.malformed, says: ["unknown command 0x0"]),
            qemu: .refused(["MIG_CMD 0x0 unknown (len 0x0)", "Invalid argument"]), 0),
        command(
            "a PING of three bytes", .refused(.malformed, says: ["PING has 3 bytes, not 4"]),
            qemu: .refused([
                "PING received with bad length - expecting 4, got 3",
                "Numerical result out of range",
            ]), 2, [0, 0, 1]),
        command(
            "a PING without a way back", .accepted,
            qemu: .refused([
                "CMD_PING (0x1) received with no return path", "Operation not permitted",
            ]), because: "nobody waits for the answer to a stored stream", 2, [0, 0, 0, 1]),
        command(
            "advice on postcopy", .accepted,
            qemu: .refused([
                "RAM postcopy is disabled but have 16 byte advise", "Invalid argument",
            ]), because: noMachine, 3, integer(UInt64(0x1000)) + integer(UInt64(0x1000))),
        command(
            "a switch to postcopy", .refused(.unsupported, says: ["POSTCOPY_LISTEN", "postcopy"]),
            qemu: .refused(["CMD_POSTCOPY_LISTEN in wrong postcopy state (0)"]), 4),
        command(
            "a stream inside the stream", .refused(.unsupported, says: ["PACKAGED"]),
            qemu: .refused([
                "qemu_loadvm_section_start_full: Failed to read instance/version ID"
            ]), 7, integer(UInt32(16))),
        command(
            "COLO", .refused(.unsupported, says: ["ENABLE_COLO", "COLO"]),
            qemu: .waits, 8),
        command(
            "a switchover that 7.2 does not know", .accepted,
            qemu: .refused(["MIG_CMD 0xb unknown (len 0x0)", "Invalid argument"]),
            because: "sources from 10.0 on send it", 11),
    ]

    // MARK: The end

    private static let ends: [UnusualStream] = [
        UnusualStream(
            "a cut before the devices", .refused(.truncated, says: ["end-of-file mark"]),
            qemu: .refused(["load of migration failed", "Input/output error"])
        ) { $0.cut(at: $0.map.tail) },
        UnusualStream(
            "a cut in a device", .refused(.truncated, says: ["ends inside section timer"]),
            qemu: .refused(["load of migration failed", "Input/output error"])
        ) { $0.cut(at: $0.map.tail + 30) },
        UnusualStream(
            "bytes behind the end", .accepted, qemu: .accepted()
        ) { $0.bytes += [UInt8](repeating: 0xa5, count: 5000) },
        UnusualStream(
            "no description of the devices", of: "7.2-q35-suppress-vmdesc.stream", .accepted,
            qemu: .accepted("Expected vmdescription section, but got 0")
        ) { _ in },
        UnusualStream(
            "a cut in the description",
            .refused(.truncated, says: ["description of its devices"]), qemu: .accepted(),
            because: "QEMU does not look at the description, and a cut file is not whole"
        ) { $0.bytes.removeLast(100) },
    ]
}
