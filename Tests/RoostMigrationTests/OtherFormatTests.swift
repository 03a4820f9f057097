import StreamSupport
import Testing

@testable import RoostMigration

/// A file that is no stream is named, with what makes a stream of it (MIG-14).
@Suite struct OtherFormatTests {
    /// First bytes of other files, padded to a kibibyte.
    private static func file(_ magic: [UInt8], at offset: Int = 0) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2048)
        bytes.replaceSubrange(offset..<offset + magic.count, with: magic)
        return bytes
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    static let packed: [(magic: [UInt8], says: [String])] = [
        ([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], ["packed with xz", "xz -dc "]),
        (text("BZh91AY&SY"), ["packed with bzip2", "bzip2 -dc "]),
        ([0x04, 0x22, 0x4d, 0x18], ["packed with lz4", "lz4 -dc "]),
        ([0x02, 0x21, 0x4c, 0x18], ["packed with lz4", "lz4 -dc "]),
        (
            [0x89, 0x4c, 0x5a, 0x4f, 0, 0x0d, 0x0a, 0x1a, 0x0a],
            ["packed with lzop", "lzop -dc "]
        ),
        (
            [0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255],
            ["packed with LZMA", "xz --format=lzma -dc "]
        ),
        ([0x5d, 0, 0, 0, 1, 0, 16, 0, 0, 0, 0, 0, 0], ["packed with LZMA"]),
    ]

    static let others: [(offset: Int, magic: [UInt8], says: [String])] = [
        (0, text("QFI") + [0xfb, 0, 0, 0, 3], ["a qcow2 image", "-loadvm"]),
        (0, text("QED") + [0], ["a QED image"]),
        (0, text("KDMV"), ["a VMDK image"]),
        (0, text("# Disk DescriptorFile\n"), ["VMDK"]),
        (0, text("conectix"), ["a VHD image"]),
        (0, text("vhdxfile"), ["a VHDX image"]),
        (64, [0x7f, 0x10, 0xda, 0xbe], ["a VDI image"]),
        (510, [0x55, 0xaa], ["a raw disk image"]),
        (512, text("EFI PART"), ["a raw disk image"]),
        (1080, [0x53, 0xef], ["a raw disk image"]),
        (0, text("LUKS") + [0xba, 0xbe], ["LUKS"]),
        (0, [0x7f] + text("ELF") + [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0], ["ELF core dump"]),
        (0, [0x7f] + text("ELF") + [2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4], ["ELF core dump"]),
        (0, [0x7f] + text("ELF") + [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0], ["ELF program"]),
        (0, text("KDUMP   "), ["a kdump", "crash"]),
        (0, text("makedumpfile"), ["flattened kdump", "makedumpfile -R"]),
        (0, text("Xen saved domain, xl format\n"), ["Xen's xl"]),
        (257, text("ustar"), ["a tar archive", "tar -xOf"]),
    ]

    private func error(_ bytes: [UInt8], named name: String = "guest") throws -> MigrationError {
        let folder = try TemporaryFolder()
        let path = try folder.file(name, bytes)
        return try #require(
            migrationError {
                _ = try StreamTools.inspect(path: path) { _ in }
            })
    }

    @Test(arguments: packed)
    func `a packed file is named with the command that unpacks it`(
        magic: [UInt8], says: [String]
    ) throws {
        let error = try error(Self.file(magic))
        #expect(error.kind == .unsupported)
        for text in says { #expect(error.description.contains(text)) }
        #expect(error.description.contains("/guest > FILE"))
    }

    @Test(arguments: others)
    func `a disk, a dump or another's save is named`(
        offset: Int, magic: [UInt8], says: [String]
    ) throws {
        let error = try error(Self.file(magic, at: offset))
        #expect(error.kind == .unsupported)
        for text in says { #expect(error.description.contains(text)) }
        #expect(!error.description.contains("damaged"))
    }

    /// A file shorter than what is looked at.
    @Test func `a file of a few bytes is named too`() throws {
        let error = try error([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])
        #expect(error.description.contains("xz -dc"))
    }

    @Test func `a name that a shell would split is quoted`() throws {
        let error = try error(Self.file(Self.packed[0].magic), named: "my guest's")
        #expect(error.description.contains("my guest'\\''s' > FILE"))
    }

    @Test func `what is inside gzip is named too`() throws {
        let folder = try TemporaryFolder()
        let plain = try folder.file("plain", Self.file(Self.packed[0].magic))
        let bytes = try CommandLineTool.output(of: "gzip", "-c", plain)
        let error = try error(bytes)
        #expect(error.description.contains("inside gzip data, packed with xz"))
        #expect(error.description.contains("/guest | xz -dc > FILE"))
    }

    @Test func `a libvirt save inside gzip is named`() throws {
        let folder = try TemporaryFolder()
        let plain = try folder.file("plain", Self.file(Self.text("LibvirtQemudSave")))
        let error = try error(try CommandLineTool.output(of: "gzip", "-c", plain))
        #expect(error.description.contains("a libvirt save"))
    }

    /// Everything else is left to the stream's reader, which says how the file begins.
    @Test func `text is no stream`() throws {
        let error = try error(Self.text("root:x:0:0:root:/root:/bin/bash\n"))
        #expect(error.kind == .malformed)
        #expect(error.description.contains("/guest: "))
        #expect(error.description.contains("not a migration stream"))
    }

    @Test func `an empty file is said to be empty`() throws {
        let error = try error([])
        #expect(error.kind == .truncated)
        #expect(error.description.contains("is empty"))
    }
}
