import Foundation
import Logging
import RoostSystem
import SystemPackage
import Testing

@testable import RoostBlock

/// The lock that keeps two writers from one image, beside QEMU's.
@Suite("Storage: locks of images")
struct ImageLockTests {
    private static func open(_ path: String, isReadOnly: Bool) throws(BlockError) -> FileStorage {
        try FileStorage(
            path: path, options: FileStorage.Options(isReadOnly: isReadOnly),
            log: Logger(label: "test"))
    }

    @Test(
        "BLK-20: two of us share an image only if both read it",
        arguments: [true, false], [true, false])
    func ours(first: Bool, second: Bool) throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096)
        let held = try Self.open(path, isReadOnly: first)
        if first && second {
            _ = try Self.open(path, isReadOnly: second)
        } else {
            let error = #expect(throws: BlockError.self) {
                try Self.open(path, isReadOnly: second)
            }
            let text = error?.description ?? ""
            #expect(error?.kind == .image && error?.errno == .resourceTemporarilyUnavailable)
            #expect(text.hasPrefix("cannot lock \(path): "))
            #expect(text.contains("(process \(ProcessInfo.processInfo.processIdentifier)) "))
            // What is advised helps.
            #expect(text.contains("--read-only") == (first && !second))
            #expect(text.contains("for writing") == !first)
        }
        withExtendedLifetime(held) {}
    }

    @Test("BLK-20: a lock ends with the storage and its queues, and a refused one leaves none")
    func ends() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096)
        var held: FileStorage? = try Self.open(path, isReadOnly: false)
        for _ in 0..<3 {
            #expect(throws: BlockError.self) { try Self.open(path, isReadOnly: false) }
        }
        withExtendedLifetime(held) {}
        held = nil
        for isReadOnly in [false, true, false] { _ = try Self.open(path, isReadOnly: isReadOnly) }
        _ = try FileStorage(
            path: path, options: FileStorage.Options(isLocked: false), log: Logger(label: "test"))
    }

    @Test("BLK-20: the bytes that are locked are those of QEMU's protocol")
    func bytes() throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 4096)
        for (isReadOnly, wanted) in [(false, [100, 101, 201, 203]), (true, [100, 201, 203])] {
            let held = try Self.open(path, isReadOnly: isReadOnly)
            let facts =
                SmallFile.text(of: "/proc/self/fdinfo/\(held.file.descriptor.rawValue)") ?? ""
            let locked = (Int64(0)...400).filter {
                ImageLockHolder.holdsLock(on: $0, fdinfo: facts)
            }
            #expect(locked.map { Int($0) } == wanted)
        }
    }

    @Test(
        "the kernel's lines about locks are read, and others are not",
        arguments: [
            ("lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:1311 100 101", true),
            ("pos:\t0\nflags:\t02\nlock:\t2: OFDLCK ADVISORY  WRITE -1 fe:00:1 0 EOF\n", true),
            ("lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:1311 102 103", false),
            ("lock:\t1: POSIX  ADVISORY  READ 77 fe:00:1311 100 101", false),
            ("lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:1311 x 101", false),
            ("lock:\t1: OFDLCK", false), ("lock:", false), ("", false),
        ])
    func lines(facts: String, holds: Bool) {
        #expect(ImageLockHolder.holdsLock(on: 101, fdinfo: facts) == holds)
    }

    @Test(
        "BLK-20: QEMU's tools do not touch an image that is served",
        .enabled(if: StorageTool.exists("qemu-io") && StorageTool.exists("qemu-img")))
    func qemuIsRefused() async throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 65536)
        let copy = folder.file("copy.raw")
        let writer = try Self.open(path, isReadOnly: false)
        for arguments in [
            ["qemu-io", "-f", "raw", "-c", "write 0 512", path],
            ["qemu-img", "convert", "-f", "raw", "-O", "raw", path, copy],
            ["qemu-img", "resize", "-f", "raw", path, "128K"],
            ["qemu-nbd", "-f", "raw", "-k", folder.file("nbd"), path],
        ] {
            let outcome = try await StorageTool.run(arguments[0], Array(arguments.dropFirst()))
            #expect(outcome.status != 0)
            #expect(outcome.errors.contains("\"write\" lock"), "\(arguments): \(outcome)")
        }
        withExtendedLifetime(writer) {}
    }

    @Test(
        "BLK-20: QEMU's tools read an image that is served read-only, and do not write it",
        .enabled(if: StorageTool.exists("qemu-io") && StorageTool.exists("qemu-img")))
    func qemuReadsToo() async throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 65536)
        let reader = try Self.open(path, isReadOnly: true)
        let copied = try await StorageTool.run(
            "qemu-img", "convert", "-f", "raw", "-O", "raw", path, folder.file("copy.raw"))
        #expect(copied.status == 0)
        let read = try await StorageTool.run("qemu-io", "-r", "-f", "raw", "-c", "read 0 512", path)
        #expect(read.status == 0)
        let written = try await StorageTool.run("qemu-io", "-f", "raw", "-c", "write 0 512", path)
        #expect(written.errors.contains("\"write\" lock"))
        withExtendedLifetime(reader) {}
    }

    @Test(
        "BLK-20: an image that QEMU writes is refused, and QEMU is named",
        .enabled(if: StorageTool.exists("qemu-nbd")))
    func qemuHolds() async throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 65536)
        let program = try StorageProgram(
            "qemu-nbd", "-f", "raw", "-t", "-k", folder.file("n"), path)
        #expect(try await program.holdsLock(on: 101, of: path))
        for isReadOnly in [false, true] {
            let error = #expect(throws: BlockError.self) {
                try Self.open(path, isReadOnly: isReadOnly)
            }
            #expect(
                error?.description == "cannot lock \(path): qemu-nbd (process "
                    + "\(program.processID)) uses it for writing; stop it")
        }
        await program.kill()
        _ = try Self.open(path, isReadOnly: false)
    }

    @Test(
        "BLK-20: an image that a guest of QEMU uses is refused, and shared if both only read",
        .enabled(if: StorageTool.exists("qemu-system-x86_64")), arguments: [false, true])
    func qemuGuestHolds(guestReadsOnly: Bool) async throws {
        let folder = try StorageFolder()
        let path = try folder.image(byteCount: 65536)
        let drive = "file=\(path),format=raw,if=virtio" + (guestReadsOnly ? ",readonly=on" : "")
        let program = try StorageProgram(
            "qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-machine",
            "pc,accel=tcg", "-m", "32", "-drive", drive)
        #expect(try await program.holdsLock(on: 201, of: path))
        let error = #expect(throws: BlockError.self) { try Self.open(path, isReadOnly: false) }
        let who = "cannot lock \(path): qemu-system-x86_64 (process \(program.processID)) "
        #expect(
            error?.description
                == who
                + (guestReadsOnly
                    ? "reads it and lets nobody write; stop it, or serve with --read-only"
                    : "uses it for writing; stop it"))
        if guestReadsOnly {
            _ = try Self.open(path, isReadOnly: true)
        } else {
            #expect(throws: BlockError.self) { try Self.open(path, isReadOnly: true) }
        }
        await program.kill()
        _ = try Self.open(path, isReadOnly: false)
    }
}

/// Where disks are to be kept, as people write it.
@Suite("Storage: names of images")
struct DiskImageTests {
    @Test(
        "sizes are read and written back",
        arguments: [
            ("ram:512", 512, "ram:512"), ("ram:1K", 1024, "ram:1K"), ("ram:1024", 1024, "ram:1K"),
            ("ram:1536", 1536, "ram:1536"), ("ram:64m", 64 << 20, "ram:64M"),
            ("ram:1G", 1 << 30, "ram:1G"), ("ram:1536M", 1536 << 20, "ram:1536M"),
            ("ram:2T", 2 << 40, "ram:2T"),
        ])
    func sizes(text: String, byteCount: UInt64, written: String) throws {
        let image = try DiskImage(text)
        #expect(image == .memory(byteCount: byteCount))
        #expect(image.description == written)
        #expect(try DiskImage(written) == image)
    }

    @Test(
        "what is no size is refused with an example",
        arguments: [
            "ram:", "ram:0", "ram:G", "ram:1", "ram:513", "ram:-1G", "ram:+1G", "ram:1.5G",
            "ram:1GB", "ram:1 G", "ram: 1G", "ram:99999999999999999999", "ram:9000000T",
            "ram:8388608T", "ram:0x10",
        ])
    func noSizes(text: String) {
        let error = #expect(throws: BlockError.self) { try DiskImage(text) }
        #expect(error?.kind == .image && error?.description.contains(text) == true)
    }

    @Test("everything else is a path")
    func paths() throws {
        for path in ["web1.raw", "/dev/vg/web1", "./ram:1G", "RAM:1G", "a b"] {
            #expect(try DiskImage(path) == .file(path: path))
            #expect(try DiskImage(path).description == path)
        }
        for text in ["", "a\0b"] { #expect(throws: BlockError.self) { try DiskImage(text) } }
    }
}
