package import RoostMigration
package import RoostSystem
import SystemPackage

/// A QEMU that a laboratory runs, with an emulated CPU (TCG), its guest's serial line captured.
///
/// It has two monitors: ``control``, over which the laboratory itself speaks, and ``monitor``, a
/// path where what is tested connects. It is killed when the last reference goes.
package final class LabQEMU: Sendable {
    /// Words for the guest's kernel under which it writes all the time, to 2 MiB of its memory: at
    /// whatever moment QEMU looks, there is something to send again.
    package static let busyGuest = ["writer.hot=512", "writer.pace=1000"]

    /// What to run.
    package struct Configuration: Sendable {
        /// QEMU's path.
        package var binary: String
        package var machine = "q35"
        /// Guest RAM in KiB, no multiple of 256 KiB: QEMU 7.2 under TCG loses pages otherwise.
        package var memoryKiB = 262_208
        /// Whether Linux is booted, rather than the firmware alone.
        package var boots = true
        /// Further words for the guest's kernel, such as `writer.mib=64`.
        package var kernelWords: [String] = []
        /// Whether to wait for a guest (`-incoming defer`).
        package var waits = false
        /// Whether the CPU starts stopped (`-S`).
        package var stopped = false
        /// A firmware in place of the BIOS, such as ``TinyGuest``'s; nothing is booted then, and the
        /// laboratory speaks to the guest over its serial line.
        package var firmware: String?
        /// Whether the guest's memory is a file that others can read, ``LabQEMU/memoryFile``.
        package var sharesMemory = false
        package var extraArguments: [String] = []

        package init(binary: String) {
            self.binary = binary
        }
    }

    package let child: ChildProcess
    /// The laboratory's own monitor.
    package let control: QMPClient
    /// Where what is tested connects.
    package let monitor: Endpoint
    let folder: TemporaryFolder
    /// The serial line of a guest that is told what to do by it.
    let serial: StreamSocket?

    /// What messages call it.
    package var name: String { child.name }

    /// The file that is the guest's memory (block `pc.ram`), where it shares it.
    package var memoryFile: String { folder.file("ram") }

    /// Starts QEMU and waits for its monitor.
    package init(_ name: String, _ configuration: Configuration) async throws {
        let assets = try LabAssets.locateGuest()
        let folder = try TemporaryFolder()
        self.folder = folder
        let monitorPath = folder.file("monitor")
        monitor = .unix(path: monitorPath)
        let listener = try Listener(on: .unix(path: folder.file("control")))
        let serialListener = try configuration.firmware.map { _ in
            try Listener(on: .unix(path: folder.file("serial")))
        }
        var arguments = [
            "-name", name, "-accel", "tcg",
            "-m", "\(configuration.memoryKiB)K", "-nodefaults", "-display", "none",
            "-serial",
            configuration.firmware == nil ? "stdio" : "unix:\(folder.file("serial")),server=off",
            "-qmp", "unix:\(monitorPath),server=on,wait=off",
            // QEMU connects to us, so there is no moment to guess at.
            "-qmp", "unix:\(folder.file("control")),server=off",
        ]
        if configuration.sharesMemory {
            // Named as the machine names its own, which the stream carries.
            arguments += [
                "-machine", "\(configuration.machine),memory-backend=pc.ram", "-object",
                "memory-backend-file,id=pc.ram,size=\(configuration.memoryKiB)K,share=on,"
                    + "mem-path=\(folder.file("ram"))",
            ]
        } else {
            arguments += ["-machine", configuration.machine]
        }
        if let firmware = configuration.firmware {
            arguments += ["-bios", firmware]
        } else if configuration.boots {
            let words = ["console=ttyS0", "quiet"] + configuration.kernelWords
            arguments += [
                "-kernel", assets.kernel, "-initrd", assets.initramfs,
                "-append", words.joined(separator: " "),
            ]
        }
        if configuration.waits { arguments += ["-incoming", "defer"] }
        if configuration.stopped { arguments.append("-S") }
        let child = try ChildProcess(
            configuration.binary, arguments + configuration.extraArguments, name: name)
        self.child = child
        do {
            let socket = try await withThrowingTaskGroup(of: StreamSocket?.self) { group in
                group.addTask {
                    try await DedicatedThread.run(name: "accept") {
                        try listener.accept(timeout: ChildProcess.defaultLimit)
                    }
                }
                group.addTask {
                    // A QEMU that ends says why sooner than the limit.
                    defer { listener.stop() }
                    _ = try? await child.exit(within: ChildProcess.defaultLimit)
                    return nil
                }
                defer { group.cancelAll() }
                while let first = try await group.next() {
                    if let first { return first }
                }
                throw LabError("no monitor")
            }
            control = try await QMPClient(over: socket, name: name)
            if let serialListener {
                serial = try await DedicatedThread.run(name: "accept") {
                    try serialListener.accept(timeout: ChildProcess.defaultLimit)
                }
            } else {
                serial = nil
            }
        } catch {
            let words = child.lines.suffix(10).map(\.text).joined(separator: "\n")
            throw LabError("\(name) did not start: \(error)\n\(words)")
        }
    }

    /// Connects to the monitor as what is tested does.
    package func connect() async throws -> QMPClient {
        try await QMPClient.connect(to: monitor)
    }

    /// Waits until the guest counts on: a line `COUNTER n` after those it has written so far.
    ///
    /// - Parameters:
    ///   - number: What the guest must have counted to, at least.
    ///   - limit: How long to wait.
    /// - Returns: What it counted to.
    /// - Throws: `LabError` when it does not.
    @discardableResult
    package func counter(
        atLeast number: Int = 0, within limit: Duration = .seconds(120)
    ) async throws -> Int {
        var reached = 0
        try await child.line(from: child.lines.count, within: limit) { line in
            guard line.hasPrefix("COUNTER "), let count = Int(line.dropFirst(8)) else {
                return false
            }
            reached = count
            return count >= number
        }
        return reached
    }

    /// What the guest has counted to, in its order.
    package var counted: [Int] {
        child.lines.compactMap { line in
            line.text.hasPrefix("COUNTER ") ? Int(line.text.dropFirst(8)) : nil
        }
    }

    /// The path of ``monitor``.
    package var monitorPath: String { folder.file("monitor") }

    /// The lines in which the guest tells of pages that are not as it left them.
    package var corruptPages: [String] {
        child.lines.map(\.text).filter { $0.hasPrefix("CORRUPT") }
    }

    /// QEMU's run state, such as `running`.
    package func status() async throws -> String {
        try await control.execute("query-status")["status"]?.string ?? "unknown"
    }

    /// Stops the CPU.
    package func stop() async throws {
        try await control.execute("stop")
    }

    /// Continues the CPU.
    package func cont() async throws {
        try await control.execute("cont")
    }

    /// Writes guest-physical memory to a file.
    package func pmemsave(address: UInt64, byteCount: UInt64, to path: String) async throws {
        try await control.execute(
            "pmemsave",
            ["val": JSONValue(address), "size": JSONValue(byteCount), "filename": .string(path)],
            timeout: .seconds(120))
    }

    /// Kills QEMU and waits until it is gone.
    package func close() async throws {
        await control.close()
        try await child.stop()
    }
}
