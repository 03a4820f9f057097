import Foundation
import Glibc
import Logging
import RoostSystem
import SystemPackage
import Testing

@testable import RoostBlock

/// Images of other formats, and what is kept of those that were served.
@Suite("Storage: formats of images")
struct ImageFormatTests {
    /// Bytes at a place of an image, from its begin or, negative, from its end.
    struct Mark: Sendable, CustomStringConvertible {
        let format: ImageFormat
        let bytes: [UInt8]
        let offset: Int

        init(_ format: ImageFormat, _ text: String, at offset: Int = 0) {
            self.format = format
            bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
            self.offset = offset
        }

        var description: String { "\(format) at \(offset)" }
    }

    static let marks = [
        Mark(.qcow2, "QFI\u{fb}\0\0\0\u{3}"), Mark(.qcow2, "QFI\u{fb}\0\0\0\u{2}"),
        Mark(.qcow, "QFI\u{fb}\0\0\0\u{1}"), Mark(.qed, "QED\0"), Mark(.vmdk, "KDMV\u{1}\0\0\0"),
        Mark(.vmdk, "COWD\u{1}\0\0\0"), Mark(.vmdk, "# Disk DescriptorFile\nversion=1\nCID=1\n"),
        Mark(.vmdk, "# Disk DescriptorFile\r\nversion=1\r\n"),
        Mark(.vmdk, "# made by hand\n\nversion=3\nCID=fffffffe\n"), Mark(.vhd, "conectix"),
        Mark(.vhd, "conectix", at: -512), Mark(.vhd, "conectix", at: -511),
        Mark(.vhdx, "vhdxfile"), Mark(.vdi, "\u{7f}\u{10}\u{da}\u{be}", at: 64),
        Mark(.parallels, "WithoutFreeSpace"), Mark(.parallels, "WithouFreSpacExt"),
        Mark(.bochs, "Bochs Virtual HD Image"), Mark(.cloop, "#!/bin/sh\n#V2.0 Format\n"),
        Mark(.dmg, "koly", at: -512),
    ]

    /// What is logged is none of these tests' business.
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private static func write(_ mark: Mark, to path: String) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        let end = try file.seekToEnd()
        let place = mark.offset < 0 ? end - UInt64(-mark.offset) : UInt64(mark.offset)
        try file.seek(toOffset: place)
        try file.write(contentsOf: Data(mark.bytes))
        try file.close()
    }

    private static func serve(
        _ path: String, as format: ImageFormatChoice = .automatic, isReadOnly: Bool = false,
        state: String? = nil, log: Logger = silent
    ) throws(BlockError) -> FileStorage {
        try FileStorage(
            path: path,
            options: FileStorage.Options(
                isReadOnly: isReadOnly, format: format, stateFolder: state), log: log)
    }

    /// What an image is, to see that it stays so.
    private static func facts(_ path: String) throws -> [String] {
        var status = stat()
        #expect(unsafe stat(path, &status) == 0)
        let bytes = try StorageFolder.bytes(path)
        return [
            "\(bytes.hashValue)", "\(status.st_size)", "\(status.st_blocks)",
            "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)",
            "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec)",
        ]
    }

    @Test(
        "another format is refused with the command that serves it, and stays as it was",
        arguments: marks)
    func refused(mark: Mark) throws {
        let folder = try StorageFolder()
        let path = try folder.image("web 1.img", byteCount: 1 << 20)
        try Self.write(mark, to: path)
        let before = try Self.facts(path)
        for isReadOnly in [false, true] {
            let error = #expect(throws: BlockError.self) {
                try Self.serve(path, isReadOnly: isReadOnly)
            }
            let text = error?.description ?? ""
            #expect(error?.kind == .image && text.contains(" a \(mark.format.title) image"))
            let name = mark.format.rawValue
            #expect(text.contains("qemu-nbd -f \(name) ") && text.contains("--image /dev/nbd0"))
            #expect(
                text.contains(
                    "qemu-img convert -f \(name) -O raw '\(path)' '\(folder.file("web 1.raw"))'"))
            #expect(text.contains("--format raw") && !text.contains("truncate"))
        }
        #expect(try Self.facts(path) == before)
    }

    @Test(
        "another format of any size is called by its name, not an image of the wrong size",
        arguments: [196_616, 196_617, 1000, 513])
    func oddSize(byteCount: Int) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: byteCount)
        try Self.write(Mark(.qcow2, "QFI\u{fb}\0\0\0\u{3}"), to: path)
        let error = #expect(throws: BlockError.self) { try Self.serve(path) }
        #expect(error?.description.contains("looks like a qcow2 image") == true)
        #expect(error?.description.contains("truncate") == false)
    }

    @Test(
        "what a guest writes into a disk that was served never keeps it from being served",
        arguments: marks)
    func keptByItself(mark: Mark) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        _ = try Self.serve(path)
        try Self.write(mark, to: path)
        for isReadOnly in [false, true, false] {
            let storage = try Self.serve(path, isReadOnly: isReadOnly)
            #expect(storage.look == mark.format.title)
        }
        // Under another name it is the same image.
        let moved = folder.file("moved.img")
        #expect(unsafe rename(path, moved) == 0)
        _ = try Self.serve(moved)
        // Another one in its place is not.
        let other = try folder.image(byteCount: 1 << 20)
        try Self.write(mark, to: other)
        #expect(throws: BlockError.self) { try Self.serve(other) }
        // What is asked for once is known from then on.
        _ = try Self.serve(other, as: .raw)
        _ = try Self.serve(other)
    }

    @Test("a format that is locked is not looked at: who has it comes first")
    func lockedFirst() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        let held = try Self.serve(path)
        try Self.write(Mark(.qcow2, "QFI\u{fb}\0\0\0\u{3}"), to: path)
        let error = #expect(throws: BlockError.self) { try Self.serve(path) }
        #expect(error?.description.hasPrefix("cannot lock \(path): ") == true)
        withExtendedLifetime(held) {}
    }

    @Test("a refused image is not locked any more")
    func unlocked() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        try Self.write(Mark(.qcow2, "QFI\u{fb}\0\0\0\u{3}"), to: path)
        #expect(throws: BlockError.self) { try Self.serve(path) }
        _ = try Self.serve(path, as: .raw)
    }

    @Test("a LUKS header is a warning, and plain sectors are none")
    func encrypted() throws {
        let folder = try StorageFolder()
        let sentences = SentenceLog()
        let log = Logger(label: "test") { _ in sentences }
        let path = try folder.image(byteCount: 1 << 20)
        #expect(try Self.serve(path, log: log).look == nil)
        #expect(sentences.all.isEmpty)
        try Self.write(Mark(.qcow2, "LUKS\u{ba}\u{be}"), to: path)
        #expect(try Self.serve(path, log: log).look == "LUKS")
        #expect(sentences.all.count == 1 && sentences.all[0].contains("cryptsetup open"))
    }

    @Test(
        "a disk whose own sectors resemble a format is a disk",
        arguments: ["QFI", "QED\u{1}", "version=1\nname=x\n", "#!/bin/sh\n", "conecti", "\0KDMV"])
    func disks(text: String) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 1 << 20)
        try Self.write(Mark(.qcow2, text), to: path)
        #expect(try Self.serve(path).look == nil)
    }

    @Test(
        "of a block device it is kept in the state folder, by what lies under it",
        .enabled(if: geteuid() == 0 && StorageTool.exists("losetup") && StorageDevice.isPossible))
    func keptOfDevice() async throws {
        let folder = try StorageFolder()
        let state = folder.file("state/roost")
        let mark = Mark(.qcow2, "QFI\u{fb}\0\0\0\u{3}")
        let first = try folder.image("first", byteCount: 1 << 20)
        let other = try folder.image("other", byteCount: 1 << 20)
        for (image, isKnown) in [(first, false), (other, false), (first, true)] {
            let attached = try await StorageTool.run("losetup", "--show", "-f", image)
            try #require(attached.status == 0, "\(attached.errors)")
            let device = String(attached.output.prefix { $0 != "\n" })
            let outcome = Result {
                if !isKnown {
                    try Self.write(mark, to: device)
                    #expect(throws: BlockError.self) { try Self.serve(device, state: state) }
                    #expect(throws: BlockError.self) { try Self.serve(device) }
                    if image == first { _ = try Self.serve(device, as: .raw, state: state) }
                } else {
                    _ = try Self.serve(device, state: state)
                    #expect(throws: BlockError.self) { try Self.serve(device) }
                }
            }
            let detached = try await StorageTool.run("losetup", "-d", device)
            #expect(detached.status == 0)
            try outcome.get()
        }
        let kept = SmallFile.names(in: state)
        #expect(kept.count == 1)
        let lines = (SmallFile.text(of: "\(state)/\(kept.first ?? "")") ?? "").split(
            separator: "\n")
        #expect(lines.prefix(2) == ["roost image format 1", "format raw"])
    }

    @Test("where nothing can be kept, that is said once")
    func notKept() async throws {
        guard geteuid() == 0, StorageTool.exists("losetup"), StorageDevice.isPossible else {
            return
        }
        let folder = try StorageFolder()
        let image = try folder.image(byteCount: 1 << 20)
        let attached = try await StorageTool.run("losetup", "--show", "-f", image)
        try #require(attached.status == 0, "\(attached.errors)")
        let device = String(attached.output.prefix { $0 != "\n" })
        let sentences = SentenceLog()
        let log = Logger(label: "test") { _ in sentences }
        let outcome = Result { _ = try Self.serve(device, log: log) }
        let detached = try await StorageTool.run("losetup", "-d", device)
        #expect(detached.status == 0)
        try outcome.get()
        #expect(
            sentences.all.count { $0.contains("cannot be kept") && $0.contains("ROOST_STATE") } == 1
        )
    }

    @Test("advice fits what is wrong: nobody makes files in /dev, nor truncates there")
    func advice() throws {
        let folder = try StorageFolder()
        for (path, says) in [
            ("/dev/roost-nothing", "no such device"),
            (folder.file("nothing/disk.raw"), "folder \(folder.file("nothing")) does not exist"),
            (folder.file("disk.raw"), "truncate -s 1G"), (folder.path, "directory"),
            ("/dev/null", "a character device"),
        ] {
            let error = #expect(throws: BlockError.self) { try Self.serve(path) }
            let text = error?.description ?? ""
            #expect(text.contains(says), "\(text)")
            #expect(text.contains("truncate") == says.contains("truncate"), "\(text)")
        }
    }

    @Test("an image has one identity by all its names, and another image another")
    func identity() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096)
        let other = try folder.image("other.raw", byteCount: 4096)
        let (hard, soft) = (folder.file("hard"), folder.file("soft"))
        #expect(unsafe link(path, hard) == 0 && symlink(path, soft) == 0)
        func opened(_ path: String) throws -> OwnedDescriptor {
            OwnedDescriptor(try FileDescriptor.open(FilePath(path), .readOnly))
        }
        let file = try opened(path)
        let own = try ImageIdentity(of: file.descriptor)
        let names = [path, hard, soft, "/proc/self/fd/\(file.descriptor.rawValue)"]
        for name in names {
            let again = try opened(name)
            #expect(own.isSame(as: try ImageIdentity(of: again.descriptor)))
        }
        let stranger = try opened(other)
        #expect(!own.isSame(as: try ImageIdentity(of: stranger.descriptor)))
        withExtendedLifetime(file) {}
    }
}
