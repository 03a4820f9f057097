import RoostHypervisor
import Testing

/// The tool stack's part: numbers, names and nodes.
struct BlockDeviceTests {
    @Test(
        "A disk's name and number are those of Xen",
        arguments: [
            ("xvda", 51712, 0, 0), ("xvda1", 51713, 0, 1), ("xvdb", 51728, 1, 0),
            ("xvdp", 51952, 15, 0), ("xvdp15", 51967, 15, 15), ("xvda16", 268_435_472, 0, 16),
            ("xvdq", 268_439_552, 16, 0), ("xvdz", 268_441_856, 25, 0),
            ("xvdaa", 268_442_112, 26, 0), ("xvdaz2", 268_448_514, 51, 2),
            ("xvdba", 268_448_768, 52, 0),
        ] as [(String, UInt32, Int, Int)])
    func numbers(name: String, number: UInt32, disk: Int, partition: Int) throws {
        let device = try BlockDeviceNumber(name: name)
        #expect(device.rawValue == number)
        #expect(device.disk == disk)
        #expect(device.partition == partition)
        #expect(device.name == name)
        #expect(BlockDeviceNumber(rawValue: number) == device)
        #expect(BlockDeviceNumber(disk: disk, partition: partition) == device)
        #expect("\(device)" == "\(number)")
    }

    @Test("Every disk has a name of its own that is read back")
    func allDisks() throws {
        for disk in Array(0..<2000) + [(1 << 20) - 1] {
            let device = BlockDeviceNumber(disk: disk)
            #expect(try BlockDeviceNumber(name: device.name) == device)
        }
    }

    @Test(
        "What names no disk is refused",
        arguments: [
            "", "xvd", "sda", "xvdA", "xvda01", "xvda0", "xvda256", "xvd1", "xvdaaaaaa", "xvda-1",
        ])
    func wrongNames(name: String) {
        #expect(throws: HypervisorError.self) { try BlockDeviceNumber(name: name) }
    }

    @Test(
        "Numbers of other disks are none of ours", arguments: [0, 768, 2048, 51711 + 257, 1 << 29])
    func wrongNumbers(number: UInt32) {
        #expect(BlockDeviceNumber(rawValue: number) == nil)
    }

    @Test("Both ends' nodes lie where drivers look for them")
    func nodes() throws {
        var device = try BlockDeviceNodes(
            BlockDeviceNumber(disk: 1), of: DomainID(rawValue: 7), servedBy: DomainID(rawValue: 2))
        device.isReadOnly = true
        device.parameters = "web1"
        #expect(device.frontendPath == "/local/domain/7/device/vbd/51728")
        #expect(device.backendPath == "/local/domain/2/backend/vbd/7/51728")
        let frontend = DeviceKeyTests.table(device.frontendEntries)
        #expect(frontend["backend"] == device.backendPath)
        #expect(frontend["backend-id"] == "2")
        #expect(frontend["state"] == "1")
        #expect(frontend["virtual-device"] == "51728")
        #expect(frontend["device-type"] == "disk")
        let backend = DeviceKeyTests.table(device.backendEntries)
        #expect(backend["frontend"] == device.frontendPath)
        #expect(backend["frontend-id"] == "7")
        #expect(backend["online"] == "1")
        #expect(backend["state"] == "1")
        #expect(backend["mode"] == "r")
        #expect(backend["dev"] == "xvdb")
        #expect(backend["params"] == "web1")
        #expect(device.frontendPermissions.payload == [UInt8](terminated: "n7", "r2"))
        #expect(device.backendPermissions.payload == [UInt8](terminated: "n2", "r7"))
        let read = try BlockDeviceNodes(backendPath: StorePath(device.backendPath)) { backend[$0] }
        #expect(read == device)
        let binding = try FrontendBinding { frontend[$0] }
        #expect(binding.backend == device.backend)
        #expect(binding.backendPath.text == device.backendPath)
        #expect(binding.number == device.number)
    }

    @Test(
        "A backend's folder that is none is refused",
        arguments: [
            "/", "/local/domain/0/backend/vbd/1", "/local/domain/0/backend/vbd/1/51712/x",
            "/local/domain/x/backend/vbd/1/51712", "/local/domain/0/backend/vbd/99999/51712",
            "/local/domain/0/backend/vbd/1/5", "/local/domain/0/device/vbd/1/51712",
            "/local/domain/0/backend/a@b/1/51712", "local",
        ])
    func wrongFolders(path: String) throws {
        let path = try StorePath(path)
        #expect(throws: HypervisorError.self) {
            try BlockDeviceNodes(backendPath: path) { _ in nil }
        }
    }

    @Test(
        "A backend's keys that contradict its folder are refused by name",
        arguments: [
            ("frontend", "/local/domain/8/device/vbd/51712"), ("frontend", nil), ("mode", "x"),
            ("mode", nil), ("bootable", "maybe"),
        ] as [(String, String?)])
    func wrongBackendKeys(key: String, value: String?) throws {
        let device = try BlockDeviceNodes(
            BlockDeviceNumber(disk: 0), of: DomainID(rawValue: 7), servedBy: .privileged)
        var table = DeviceKeyTests.table(device.backendEntries)
        table[key] = value
        let path = try StorePath(device.backendPath)
        var refusal = "accepted"
        do throws(HypervisorError) {
            _ = try BlockDeviceNodes(backendPath: path) { table[$0] }
        } catch {
            refusal = error.description
        }
        #expect(refusal.contains("'\(key)'"))
    }

    @Test(
        "A frontend's binding that leads nowhere is refused by name",
        arguments: [
            ("backend", nil), ("backend", "relative"), ("backend", "/a//b"), ("backend-id", nil),
            ("backend-id", "32752"), ("backend-id", "x"),
        ] as [(String, String?)])
    func wrongBindings(key: String, value: String?) throws {
        let device = try BlockDeviceNodes(
            BlockDeviceNumber(disk: 0), of: DomainID(rawValue: 7), servedBy: .privileged)
        var table = DeviceKeyTests.table(device.frontendEntries)
        table[key] = value
        var refusal = "accepted"
        do throws(HypervisorError) {
            _ = try FrontendBinding { table[$0] }
        } catch {
            refusal = error.description
        }
        #expect(refusal.contains("'\(key)'"))
    }
}
