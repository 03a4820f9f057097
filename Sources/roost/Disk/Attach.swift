import ArgumentParser
import RoostHost

extension Disk {
    /// `roost disk attach`.
    struct Attach: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a domain a device of a disk: write its nodes into the store.",
            discussion: """
                Example: roost disk attach web1 --domain 3 --device xvdb

                On Xen's hosts it does what xl block-attach does. On the embedded hypervisor a guest is \
                a program with a frontend of its own (the library RoostBlock), whose disks are \
                attached so; roost disk connect attaches its disk by itself. Domains and their \
                numbers: roost disk list --domains
                """)

        @Argument(help: "The disk's name.")
        var name: String

        @OptionGroup var device: DeviceArguments

        @Option(help: ArgumentHelp("r or w (default: as the disk is served).", valueName: "r|w"))
        var mode: String?

        @Option(
            help: ArgumentHelp(
                "The domain that serves the disk (default: as its process says).",
                valueName: "domain"))
        var backend: UInt16?

        @Flag(help: "Print the device as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.name(name)
            guard mode.map({ ["r", "w"].contains($0) }) ?? true else {
                throw ValidationError("--mode is '\(mode ?? "")': give r or w")
            }
        }

        func run() async throws {
            var isReadOnly = mode == "r"
            var domain = backend
            if backend == nil {
                let disk = try await Surroundings.client().snapshot(
                    DiskSnapshot.self, of: try ControlName(.disk, name))
                domain = disk.domain
                guard !disk.isReadOnly || mode != "w" else {
                    throw CommandFailure(
                        "disk \(name) is served read-only: attach it with --mode r, or serve it "
                            + "without --read-only")
                }
                isReadOnly = isReadOnly || disk.isReadOnly
            }
            let nodes = try DiskNodes(
                disk: name, deviceName: device.device, frontend: device.domain,
                backend: domain ?? 0, isReadOnly: isReadOnly)
            let store = try await DiskEngines.store(environment: Surroundings.environment)
            try await nodes.attach(to: store)
            let number = nodes.device.device
            guard !json else {
                try Console.printJSON(
                    Attached(
                        disk: name, domain: device.domain, backend: nodes.device.backend,
                        device: DiskNodes.deviceName(number), deviceNumber: number,
                        isReadOnly: isReadOnly), as: "disk.attach")
                return
            }
            print(
                "domain \(device.domain): disk \(name) is device \(DiskNodes.deviceName(number)) "
                    + "(\(number))")
        }
    }

    /// A device as JSON.
    private struct Attached: Encodable {
        var disk: String
        var domain: UInt16
        var backend: UInt16
        var device: String
        var deviceNumber: UInt32
        var isReadOnly: Bool
    }

    /// A device that was let go, as JSON.
    private struct Detached: Encodable {
        var disk: String
        var domain: UInt16
        var device: String
        var deviceNumber: UInt32
    }

    /// `roost disk detach`.
    struct Detach: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a device of a disk from a domain, and remove its nodes.",
            discussion: """
                Example: roost disk detach web1 --domain 3 --device xvdb

                Waits until both ends have let the device go; --force removes its nodes at once.
                """)

        @Argument(help: "The disk's name.")
        var name: String

        @OptionGroup var device: DeviceArguments

        @Option(help: ArgumentHelp("How long to wait for both ends, in seconds.", valueName: "s"))
        var timeout = 10

        @Flag(help: "Remove the nodes without waiting; a guest that uses the disk loses it.")
        var force = false

        @Flag(help: "Print the device as JSON.")
        var json = false

        @OptionGroup(title: "Messages") var console: ConsoleArguments

        func validate() throws {
            try Checked.name(name)
            try Checked.number("--timeout", timeout, 1...3600)
        }

        func run() async throws {
            let store = try await DiskEngines.store(environment: Surroundings.environment)
            let nodes = try await DiskNodes.find(
                device.device, of: device.domain, disk: name, in: store)
            try await DiskNodes.detach(
                nodes, from: store, within: force ? .zero : .seconds(timeout))
            let shown = DiskNodes.deviceName(nodes.device)
            guard !json else {
                try Console.printJSON(
                    Detached(
                        disk: name, domain: device.domain, device: shown,
                        deviceNumber: nodes.device), as: "disk.detach")
                return
            }
            print("domain \(device.domain): device \(shown) (\(nodes.device)) is detached")
        }
    }
}

/// Which device of which domain.
struct DeviceArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The guest's domain.", valueName: "number"))
    var domain: UInt16

    @Option(
        help: ArgumentHelp(
            "What the guest calls it: xvda, xvdb and so on, or a number.", valueName: "name"))
    var device = "xvda"

    func validate() throws {
        do throws(HostError) {
            _ = try DiskNodes.device(named: device)
        } catch {
            throw ValidationError(error.description)
        }
        guard domain < 0x7ff0 else {
            throw ValidationError("--domain is \(domain): domains are numbered from 0 to 32751")
        }
    }
}
