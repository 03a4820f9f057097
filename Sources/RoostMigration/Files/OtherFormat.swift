internal import RoostMemory

/// What a file is that is no migration stream, told by its first bytes, and what makes a stream
/// of it.
///
/// People keep streams packed by whatever is at hand, and hand over disks and dumps by mistake.
/// Each is named, since "not a migration stream" sends them the wrong way.
struct OtherFormat {
    /// How many of a file's first bytes tell: as far as a file system's own mark.
    static let headByteCount = 1082

    /// What the file is, as a noun with its article.
    let name: String
    /// What to do, as the end of a sentence.
    private let advice: Advice

    private enum Advice {
        /// A program that unpacks its standard input, or the file named behind it.
        case unpack(String)
        /// Words.
        case text(String)
    }

    /// Where the bytes stand in the file that was given.
    struct Place {
        /// The file's name, as messages have it.
        let file: String
        /// How many bytes of the file stand before them.
        var offset: UInt64 = 0
        /// How the file is packed around them.
        var packing = StreamInput.Packing.none

        /// A command that unpacks them into a file of their own.
        func unpacking(by program: String) -> String {
            let isPipe = file == StreamInput.standardInputName
            let name = quoted(file)
            var source = isPipe ? "" : "\(name)"
            if offset > 0 { source = "tail -c +\(offset + 1)" + (isPipe ? "" : " \(name)") }
            switch packing {
            case .none: break
            case .gzip, .zstd:
                source =
                    "\(packing.rawValue) -dc" + (source.isEmpty ? "" : " \(source)")
            }
            guard offset > 0 || packing != .none else {
                return isPipe
                    ? "pipe it through \(program)" : "unpack it first: \(program) \(source) > FILE"
            }
            return "unpack it first: \(source) | \(program) > FILE"
        }

        /// A name as a shell takes it.
        private func quoted(_ name: String) -> String {
            let isPlain = name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "/._-+:@%,".utf8.contains(byte)
                }
            }
            guard !isPlain else { return name }
            return "'"
                + name.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
        }
    }

    /// Recognizes bytes that are no stream; `nil` where nothing is known of them.
    ///
    /// - Parameter head: The file's first bytes, ``headByteCount`` where it has as many.
    init?(_ head: RawSpan) {
        func has(_ bytes: [UInt8], at start: Int = 0) -> Bool {
            start + bytes.count <= head.byteCount
                && bytes.indices.allSatisfy {
                    head.loadBigEndian(at: start + $0, as: UInt8.self) == bytes[$0]
                }
        }
        if let packer = Self.packers.first(where: { has($0.magic) }) {
            self.init("packed with \(packer.name)", .unpack(packer.program))
        } else if Self.isLZMA(head) {
            self.init("packed with LZMA", .unpack("xz --format=lzma -dc"))
        } else if let known = Self.images.first(where: { has($0.magic, at: $0.offset) }) {
            self.init(known.name, .text(known.advice))
        } else if has([0x7f] + Array("ELF".utf8)) {
            self = Self.elf(head)
        } else if has([0x55, 0xaa], at: 510) || has([0x53, 0xef], at: 1080) {
            self.init("a raw disk image", .text(Self.diskAdvice))
        } else {
            return nil
        }
    }

    private init(_ name: String, _ advice: Advice) {
        self.name = name
        self.advice = advice
    }

    /// A format by the name that libvirt has for it.
    init(libvirtFormat format: String, program: String) {
        self.init("a libvirt save of format \(format)", .unpack(program))
    }

    /// Says what the file is and what to do.
    func error(at place: Place) -> MigrationError {
        let inside = place.packing == .none ? "" : ", inside \(place.packing.rawValue) data,"
        let what =
            switch advice {
            case .unpack(let program): place.unpacking(by: program)
            case .text(let text): text
            }
        return MigrationError(.unsupported, "\(place.file) is\(inside) \(name): \(what)")
    }

    // MARK: What is known

    private typealias Packer = (magic: [UInt8], name: String, program: String)
    private typealias Image = (offset: Int, magic: [UInt8], name: String, advice: String)

    /// What packs a file whole, by the programs that undo it.
    private static let packers: [Packer] = [
        ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], "xz", "xz -dc"),
        (Array("BZh".utf8), "bzip2", "bzip2 -dc"),
        ([0x04, 0x22, 0x4d, 0x18], "lz4", "lz4 -dc"),
        ([0x02, 0x21, 0x4c, 0x18], "lz4 (its old format)", "lz4 -dc"),
        ([0x89, 0x4c, 0x5a, 0x4f, 0, 0x0d, 0x0a, 0x1a, 0x0a], "lzop", "lzop -dc"),
        (Array("LZIP".utf8), "lzip", "lzip -dc"),
        ([0x1f, 0x8b], "gzip", "gzip -dc"),
        ([0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
        ([0x1f, 0x9d], "compress", "uncompress -c"),
        (Array("PK".utf8) + [3, 4], "zip", "funzip"),
        ([0xff, 6, 0, 0] + Array("sNaPpY".utf8), "snappy", "snzip -dc"),
    ]

    /// A stream that a running QEMU writes to a file.
    private static let saving = "save it with migrate \"exec:cat > FILE\" in QEMU's monitor"
    private static let diskAdvice =
        "a disk holds no migration stream; load a state saved inside it with qemu-system-… "
        + "-loadvm TAG, and then \(saving)"
    private static let dumpAdvice =
        "a dump holds memory without the devices, so no guest goes on from it; read it with crash "
        + "or gdb, and to move the guest \(saving)"
    private static let otherAdvice = "only QEMU's own stream is read: \(saving)"

    /// What holds disks, dumps and the saves of others.
    private static let images: [Image] = [
        (0, Array("QFI".utf8) + [0xfb], "a qcow2 image", diskAdvice),
        (0, Array("QED".utf8) + [0], "a QED image", diskAdvice),
        (0, Array("KDMV".utf8), "a VMDK image", diskAdvice),
        (0, Array("COWD".utf8), "a VMDK image", diskAdvice),
        (0, Array("# Disk DescriptorFile".utf8), "the description of a VMDK image", diskAdvice),
        (0, Array("conectix".utf8), "a VHD image", diskAdvice),
        (0, Array("vhdxfile".utf8), "a VHDX image", diskAdvice),
        (64, [0x7f, 0x10, 0xda, 0xbe], "a VDI image", diskAdvice),
        (0, Array("WithoutFreeSpace".utf8), "a Parallels image", diskAdvice),
        (0, Array("WithouFreSpacExt".utf8), "a Parallels image", diskAdvice),
        (0, Array("LUKS".utf8) + [0xba, 0xbe], "an encrypted LUKS volume", diskAdvice),
        (512, Array("EFI PART".utf8), "a raw disk image", diskAdvice),
        (0, Array("KDUMP   ".utf8), "a kdump of memory", dumpAdvice),
        (0, Array("DISKDUMP".utf8), "a kdump of memory", dumpAdvice),
        (
            0, Array("makedumpfile".utf8),
            "a flattened kdump of memory (makedumpfile -R undoes it)", dumpAdvice
        ),
        (0, Array("PAGEDUMP".utf8), "a Windows memory dump", dumpAdvice),
        (0, Array("PAGEDU64".utf8), "a Windows memory dump", dumpAdvice),
        (0, Array("EMiL".utf8), "a LiME dump of memory", dumpAdvice),
        (
            0, Array("LibvirtQemudSave".utf8), "a libvirt save",
            "undo the packing around it first, and give the libvirt save itself"
        ),
        (0, Array("Xen saved domain".utf8), "a save of Xen's xl", otherAdvice),
        (0, Array("LinuxGuestRecord".utf8), "a save of Xen's xm", otherAdvice),
        (0, [0x7f] + Array("VirtualBox SavedState".utf8), "a save of VirtualBox", otherAdvice),
        (0, [0xd2, 0xbe, 0xd2, 0xbe], "a save of VMware", otherAdvice),
        (0, [0xd1, 0xba, 0xd1, 0xba], "a save of VMware", otherAdvice),
        (0, [0xd0, 0xbe, 0xd2, 0xbe], "a save of VMware", otherAdvice),
        (
            257, Array("ustar".utf8), "a tar archive",
            "give the stream inside it: tar -xOf ARCHIVE MEMBER > FILE"
        ),
        (0, [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], "packed with 7z", "unpack it first: 7z x FILE"),
        (0, Array("<domain".utf8), "libvirt's description of a guest", otherAdvice),
    ]

    /// A bare LZMA file has no magic number: its usual properties, a dictionary of a size that the
    /// format allows, and a length that is unknown or not absurd.
    private static func isLZMA(_ head: RawSpan) -> Bool {
        guard head.byteCount >= 13, head.loadBigEndian(at: 0, as: UInt8.self) == 0x5d else {
            return false
        }
        let dictionary = head.loadBigEndian(at: 1, as: UInt32.self).byteSwapped
        let length = head.loadBigEndian(at: 5, as: UInt64.self).byteSwapped
        return dictionary >= 1 << 12 && dictionary.nonzeroBitCount <= 2
            && (length == .max || length < 1 << 50)
    }

    /// ELF: a core file (ET_CORE, 4, in the byte order that `EI_DATA` tells) or a program.
    private static func elf(_ head: RawSpan) -> OtherFormat {
        guard head.byteCount >= 18 else { return OtherFormat("an ELF file", .text(otherAdvice)) }
        let isLittle = head.loadBigEndian(at: 5, as: UInt8.self) == 1
        let word = head.loadBigEndian(at: 16, as: UInt16.self)
        return (isLittle ? word.byteSwapped : word) == 4
            ? OtherFormat("an ELF core dump", .text(dumpAdvice))
            : OtherFormat("an ELF program", .text(otherAdvice))
    }
}
