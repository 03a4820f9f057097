/// The numbers of QEMU's migration stream (QEMU: `migration/savevm.h`, `migration/ram.c`,
/// `docs/devel/migration`), and the limits that this reader sets beside them.
enum StreamFormat {
    /// `QEMU_VM_FILE_MAGIC`, "QEVM".
    static let magic: UInt32 = 0x5145_564d
    /// `QEMU_VM_FILE_VERSION`.
    static let version: UInt32 = 3
    /// `MULTIFD_MAGIC`, the first word of a multifd channel.
    static let multifdMagic: UInt32 = 0x1122_3344

    /// The byte that begins an item, `QEMU_VM_EOF` and its fellows.
    enum Item {
        static let endOfFile: UInt8 = 0x00
        static let subsection: UInt8 = 0x05
        static let description: UInt8 = 0x06
        static let configuration: UInt8 = 0x07
        static let command: UInt8 = 0x08
        static let footer: UInt8 = 0x7e
    }

    /// The name and the version of the section that carries memory.
    static let ramSection = "ram"
    static let ramVersion: UInt32 = 4

    /// The flags in the low bits of a record's word, `RAM_SAVE_FLAG_*`.
    enum Flag {
        static let full: UInt64 = 0x001
        static let zero: UInt64 = 0x002
        static let memorySize: UInt64 = 0x004
        static let page: UInt64 = 0x008
        static let endOfSection: UInt64 = 0x010
        static let continuation: UInt64 = 0x020
        static let xbzrle: UInt64 = 0x040
        static let hook: UInt64 = 0x080
        static let compressed: UInt64 = 0x100
        static let multifdFlush: UInt64 = 0x200
        static let mask: UInt64 = 0xfff
    }

    /// The most bytes of a zlib stream that a page can be: zlib's own bound for 4,096 bytes,
    /// which QEMU checks against.
    static let compressedPageLimit = 4110
    /// `ENCODING_FLAG_XBZRLE`, the first byte of a delta record's body.
    static let xbzrleEncoding: UInt8 = 1

    /// The most blocks of a list, which fits one frame of the wire; the largest machines of QEMU
    /// register about a hundred.
    static let blockLimit = 2048
    /// The most sections of one stream; far above the devices a machine can have.
    static let sectionLimit = 65_536
    /// The longest machine type in CONFIGURATION; QEMU's longest are below 30 bytes.
    static let machineTypeLimit = 255
    /// The most capabilities named in CONFIGURATION; QEMU validates fewer than five.
    static let capabilityLimit = 64
    /// The most RAM that any stream may announce, in bytes, whatever the caller allows: offsets
    /// and sums of lengths below it fit an `Int`.
    static let ramLimit: UInt64 = 1 << 56
    /// The longest description of the devices, in bytes; a machine with hundreds stays below one
    /// mebibyte.
    static let descriptionLimit = 16 << 20
    /// How many texts that look like the description are decoded before they are taken for
    /// device state.
    static let descriptionTries = 4
    /// How many bytes are kept, at first, before the end of a stream without a description is looked
    /// for among them; it counts when half as many lie behind it.
    static let paddingWalk = 32 << 20
    /// The most bytes of device state behind the memory that are kept to be checked against the
    /// description; of more the footers alone are.
    static let tailLimit = 64 << 20
}

/// The numbers of the commands in a stream, `MIG_CMD_*` of QEMU's `migration/savevm.c`.
public enum StreamCommand: UInt16, Sendable {
    /// The destination is to answer on a way back.
    case openReturnPath = 1
    /// The destination is to send the number back.
    case ping = 2
    /// Postcopy may follow; names the page sizes of the blocks.
    case postcopyAdvise = 3
    /// The destination is to take pages while the guest runs.
    case postcopyListen = 4
    /// The destination is to start the guest.
    case postcopyRun = 5
    /// Pages of a block that are stale.
    case postcopyDiscard = 6
    /// A stream inside the stream, to be read whole before it is loaded.
    case packaged = 7
    /// The guest is replicated (COLO), not migrated.
    case enableCOLO = 8
    /// Postcopy goes on over a new connection.
    case postcopyResume = 9
    /// The destination is to tell which pages of a block it has.
    case receivedBitmap = 10
    /// The guest is stopped; what follows is the last of it.
    case switchoverStart = 11

    /// The lengths the payload can have, or `nil` where any will do.
    var lengths: [Int]? {
        switch self {
        case .openReturnPath, .postcopyListen, .postcopyRun, .enableCOLO, .postcopyResume,
            .switchoverStart:
            [0]
        case .ping, .packaged: [4]
        case .postcopyAdvise: [0, 16]
        case .postcopyDiscard, .receivedBitmap: nil
        }
    }

    /// The name QEMU's sources give it.
    var name: String {
        switch self {
        case .openReturnPath: "OPEN_RETURN_PATH"
        case .ping: "PING"
        case .postcopyAdvise: "POSTCOPY_ADVISE"
        case .postcopyListen: "POSTCOPY_LISTEN"
        case .postcopyRun: "POSTCOPY_RUN"
        case .postcopyDiscard: "POSTCOPY_RAM_DISCARD"
        case .packaged: "PACKAGED"
        case .enableCOLO: "ENABLE_COLO"
        case .postcopyResume: "POSTCOPY_RESUME"
        case .receivedBitmap: "RECV_BITMAP"
        case .switchoverStart: "SWITCHOVER_START"
        }
    }
}
