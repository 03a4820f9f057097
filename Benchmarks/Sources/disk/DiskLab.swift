import Foundation
import Logging
import RoostBlock
import RoostHypervisor
import Workloads

/// A hypervisor and a backend with memory disks, each a process of its own, and what brings guests
/// to them.
final class DiskLab {
    /// Where the hypervisor's sockets are.
    let folder: String
    let backend: Program
    private let hypervisor: Program
    private let backendDomain: DomainID
    /// The tool stack, which writes the nodes of devices.
    private let toolStack: EmbeddedDomain

    /// Starts the processes.
    ///
    /// - Parameters:
    ///   - mode: How the backend reaches the pages of frontends; where that is persistently and a
    ///     frontend does not offer it, it copies.
    ///   - diskCount: How many disks it serves, each to one guest.
    ///   - byteCount: How long each is.
    /// - Returns: The lab; its processes end with it.
    /// - Throws: What keeps them from starting.
    static func start(_ mode: GrantMode, diskCount: Int, byteCount: Int) throws -> DiskLab {
        let folder = try makeFolder()
        do {
            let hypervisor = try Program(["hypervisor", folder])
            try hypervisor.expect("READY")
            let backend = try Program([
                "backend", folder, mode.rawValue, "\(diskCount)", "\(byteCount)",
            ])
            return try DiskLab(folder, hypervisor, backend)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    private init(_ folder: String, _ hypervisor: Program, _ backend: Program) throws {
        self.folder = folder
        self.hypervisor = hypervisor
        self.backend = backend
        backendDomain = try Self.domain(try backend.line())
        toolStack = try EmbeddedDomain(
            at: HypervisorLocation(directory: folder), name: "bench", isPrivileged: true)
    }

    /// What a process says when it is a domain.
    static func domain(_ line: String) throws -> DomainID {
        guard let number = UInt16(line) else { throw Failure("'\(line)' is no domain's number") }
        return DomainID(rawValue: number)
    }

    /// Writes the nodes of a guest's device.
    ///
    /// - Parameters:
    ///   - disk: Which disk.
    ///   - guest: The guest's domain.
    ///   - number: Which of the guest's devices.
    /// - Returns: The frontend's folder.
    /// - Throws: What the store refuses it with.
    func attach(disk: Int, to guest: DomainID, as number: Int = 0) async throws -> String {
        var nodes = try BlockDeviceNodes(
            BlockDeviceNumber(disk: number), of: guest, servedBy: backendDomain)
        nodes.parameters = Self.diskName(disk)
        let (store, described) = (toolStack.store, nodes)
        try await store.transaction { transaction throws(HypervisorError) in
            for (path, permissions, entries) in [
                (
                    described.frontendPath, described.frontendPermissions,
                    described.frontendEntries
                ),
                (described.backendPath, described.backendPermissions, described.backendEntries),
            ] {
                let folder = try StorePath(path)
                try await store.makeDirectory(folder, in: transaction)
                try await store.setPermissions(permissions, of: folder, in: transaction)
                for entry in entries {
                    try await store.writeString(
                        entry.value, to: try StorePath("\(path)/\(entry.key)"), in: transaction)
                }
            }
        }
        return nodes.frontendPath
    }

    /// Becomes a domain of this lab's hypervisor.
    func domain(_ name: String) throws -> EmbeddedDomain {
        try EmbeddedDomain(at: HypervisorLocation(directory: folder), name: name)
    }

    /// What the backend has done for each device, as it says.
    func backendLine(_ question: String) throws -> [Int] {
        try backend.write(question)
        return try backend.numbers()
    }

    static func diskName(_ number: Int) -> String { "disk\(number)" }

    deinit {
        toolStack.disconnect()
        backend.stop()
        hypervisor.stop()
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// The hypervisor's process.
func beHypervisor(_ folder: String) throws {
    let options = EmbeddedHypervisor.Options(logger: quietLogger("hypervisor"))
    let hypervisor = try EmbeddedHypervisor(directory: folder, options: options)
    say("READY")
    while readLine() != nil {}
    hypervisor.stop()
}

/// The backend's process; it answers `grants` by what its devices have mapped and copied.
func beBackend(_ folder: String, _ mode: String, _ diskCount: Int, _ byteCount: UInt64) throws {
    guard let mode = GrantMode(rawValue: mode) else { throw Failure("no mode is '\(mode)'") }
    // As domain 0 is: the store's limits on a domain's watches are made for guests.
    let domain = try EmbeddedDomain(
        at: HypervisorLocation(directory: folder), name: "backend", isPrivileged: true)
    var options = BackendOptions()
    options.mode = mode
    options.logger = quietLogger("backend")
    var backends: [BlockBackend<EmbeddedDomain, MemoryStorage>] = []
    for number in 0..<diskCount {
        let backend = try BlockBackend(
            try MemoryStorage(byteCount: byteCount), name: DiskLab.diskName(number), on: domain,
            options: options)
        backends.append(backend)
        Task { try await backend.run() }
    }
    say("\(domain.id)")
    while let line = readLine() {
        guard line == "grants" else { continue }
        var sums = [UInt64](repeating: 0, count: 6)
        for statistics in backends.flatMap({ $0.snapshot() }).flatMap(\.queues) {
            for (place, value) in [
                statistics.reads + statistics.writes, statistics.grantsMapped,
                statistics.grantMisses, statistics.grantsMappedOnce, statistics.grantsCopied,
                statistics.notificationsSent,
            ].enumerated() {
                sums[place] += value
            }
        }
        say(sums.map(String.init).joined(separator: " "))
    }
}

/// Says nothing of who comes and goes.
func quietLogger(_ name: String) -> Logger {
    var logger = Logger(label: "bench.\(name)")
    logger.logLevel = .error
    return logger
}
