import ArgumentParser
import RoostHost

extension Disk {
    /// `roost disk attach`.
    struct Attach: AsyncParsableCommand, ConsoleCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a domain a device of a disk: write its nodes into the store.",
            discussion: "Example: roost disk attach web1 --domain 3 --device xvdb")

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
            print("domain \(device.domain): disk \(name) is device \(nodes.device.device)")
        }
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
            print("domain \(device.domain): device \(nodes.device) is detached")
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
