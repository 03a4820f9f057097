import Foundation
import RoostMemory
import SystemPackage
import Workloads

/// A real QEMU that waits for a guest.
struct QEMULoader: Loader {
    let name: String
    let binary: String

    func start(listeningAt path: String, in folder: String) throws -> any LoaderProcess {
        let qemu = try RealQEMU(
            binary,
            ["-machine", machine, "-m", "\(pageCount * 4)K", "-incoming", "defer"], in: folder)
        try qemu.execute("migrate-incoming", #"{"uri":"unix:\#(path)"}"#)
        return QEMUProcess(qemu: qemu, folder: folder)
    }
}

private struct QEMUProcess: LoaderProcess {
    let qemu: RealQEMU
    let folder: String

    func check(pages: inout GuestPages, fully: Bool) throws {
        try qemu.completedMigration()
        guard fully else { return }
        // Below 1 MiB the guest's addresses are those of the video memory and the firmware.
        let first = (1 << 20) / pageByteCount
        let byteCount = (pageCount - first) * pageByteCount
        let path = "\(folder)/memory"
        try qemu.execute(
            "pmemsave",
            #"{"val":\#(first * pageByteCount),"size":\#(byteCount),"filename":"\#(path)"}"#)
        let file = try FileDescriptor.open(FilePath(path), .readWrite)
        defer { try? file.close() }
        let memory = try MappedRegion.file(file, byteCount: byteCount, requiresSeal: false)
        for index in first..<pageCount {
            let loaded = memory.page(at: (index - first) * pageByteCount)
            guard pages.withPage(index, { loaded.isEqual(to: $0) }) else {
                throw Failure("QEMU loaded page \(index) otherwise")
            }
        }
    }

    func stop() {
        qemu.stop()
    }
}

extension QEMULoader {
    /// The installed QEMU, and version 10 where the laboratory has unpacked it.
    static func all() throws -> [QEMULoader] {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return try [
            RealQEMU.installed,
            root.appendingPathComponent(".build-lab/qemu10/qemu-system-x86_64").path,
        ]
        .filter { FileManager.default.isExecutableFile(atPath: $0) }
        .map { QEMULoader(name: "QEMU \(try RealQEMU.version(of: $0))", binary: $0) }
    }
}
