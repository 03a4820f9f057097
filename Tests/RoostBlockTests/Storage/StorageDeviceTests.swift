import Glibc
import Logging
import RoostBlock
import RoostMemory
import RoostSystem
import SystemPackage
import Testing

/// Block devices, which need root and a loop device.
@Suite(
    "Storage: block devices",
    .enabled(if: geteuid() == 0 && StorageTool.exists("losetup") && StorageDevice.isPossible))
struct StorageDeviceTests {
    @Test(
        "BLK-12: a block device is served in its own sectors, flushed and discarded",
        arguments: [512, 4096])
    func device(sector: Int) async throws {
        let folder = try StorageFolder()
        let image = try folder.image(byteCount: 4 << 20)
        let attached = try await StorageTool.run(
            "losetup", "--show", "-f", "--sector-size", "\(sector)", image)
        try #require(attached.status == 0, "\(attached.errors)")
        let device = String(attached.output.prefix { $0 != "\n" })
        let outcome = Result { try Self.exercise(device, image: image, sector: sector) }
        let detached = try await StorageTool.run("losetup", "-d", device)
        #expect(detached.status == 0)
        try outcome.get()
    }

    private static func exercise(_ device: String, image: String, sector: Int) throws {
        let storage = try FileStorage(path: device, log: Logger(label: "test"))
        #expect(storage.geometry.logicalSectorByteCount == sector)
        #expect(storage.geometry.sectorCount == 8192 && storage.isDirect)
        var rig = try StorageRig.make(storage, depth: 8)
        let unit = sector / 512
        for number in 0..<512 {
            #expect(try rig.run(.write, sectors: number * 16..<number * 16 + 16) == nil)
        }
        let odd = unit > 1 ? Errno.invalidArgument : nil
        #expect(try rig.run(.read, sectors: 1..<9) == odd)
        #expect(try rig.run(.read, sectors: 0..<1) == odd)
        #expect(try rig.run(.write, sectors: 8..<15) == odd)
        #expect(try rig.run(.discard, sectors: 1..<9) == odd)
        let flushes = StorageDevice.flushCount(of: device)
        #expect(try rig.run(.flush, sectors: 0..<0) == nil)
        #expect(StorageDevice.flushCount(of: device) > flushes)
        let full = StorageFolder.allocatedByteCount(image)
        #expect(try rig.run(.discard, sectors: 0..<8192) == nil)
        #expect(StorageFolder.allocatedByteCount(image) < full / 2)
        rig.window.copy(unsafe [UInt8](repeating: 1, count: 4096).span.bytes, to: 0)
        #expect(try rig.run(.read, sectors: 800..<808) == nil)
        let found = [UInt8](rig.window.bytes(at: 0, count: 4096))
        #expect(found == [UInt8](repeating: 0, count: 4096))
    }
}

/// What the kernel says about block devices.
enum StorageDevice {
    /// Whether loop devices exist here.
    static var isPossible: Bool { SmallFile.names(in: "/dev").contains("loop-control") }

    /// How many flushes a device has done (Linux Documentation/block/stat.rst, "flush I/Os").
    static func flushCount(of device: String) -> Int {
        let name = device.split(separator: "/").last ?? ""
        let fields = (SmallFile.text(of: "/sys/block/\(name)/stat") ?? "").split {
            " \n".contains($0)
        }
        return fields.count > 15 ? Int(fields[15]) ?? -1 : -1
    }
}
