import Foundation
import RoostBlock
import RoostHypervisor
import RoostMemory
import Workloads

/// Short, so that the disks' own bytes do not count: they are only read, and take no memory.
private let diskByteCount = 16 << 20
private let idleCount = 200

/// What the backend's process uses for each disk, beyond what it uses without one.
func backendMemory() async throws {
    head(["disks", "state", "anonymous, KiB", "page tables, KiB", "a disk, KiB"])
    for count in [1, idleCount] {
        let lab = try DiskLab.start(
            .persistent, diskCount: count, byteCount: diskByteCount)
        let empty = try memory(of: lab)
        row(["0 of \(count)", "served", "\(empty.anonymous)", "\(empty.pageTables)", ""])
        var disks: [BlockFrontend<EmbeddedDomain>] = []
        for number in 0..<count { disks.append(try await connect(number, lab)) }
        try say(lab, count, "idle, connected", empty)
        if count == 1 {
            // Every grant that the frontend has, so that all tables are used in full.
            for disk in disks { try await fill(disk) }
            let counts = try lab.backendLine("grants")
            try say(lab, count, "with \(counts[1]) pages of its guest mapped", empty)
        }
        withExtendedLifetime((disks, lab)) {}
    }
}

private func say(_ lab: DiskLab, _ count: Int, _ state: String, _ empty: ProcessMemory) throws {
    let now = try memory(of: lab)
    let more = now.anonymous + now.pageTables - empty.anonymous - empty.pageTables
    row([
        "\(count)", state, "\(now.anonymous)", "\(now.pageTables)",
        decimal(Double(more) / Double(count), 0),
    ])
}

private func memory(of lab: DiskLab) throws -> ProcessMemory {
    guard let memory = ProcessMemory(of: lab.backend.processID) else {
        throw Failure("the backend's process is gone")
    }
    return memory
}

private func connect(
    _ number: Int, _ lab: DiskLab
) async throws -> BlockFrontend<EmbeddedDomain> {
    let domain = try lab.domain("guest-\(number)")
    let path = try StorePath(try await lab.attach(disk: number, to: domain.id))
    var options = FrontendOptions()
    options.logger = quietLogger("frontend")
    let frontend = try BlockFrontend(options) {
        BlockFrontend<EmbeddedDomain>.Attachment(domain: domain, path: path)
    }
    Task {
        // It ends with the lab.
        try? await frontend.run()
    }
    _ = try await frontend.waitUntilConnected()
    return frontend
}

/// Reads with as many requests of the largest size as the ring has room for.
private func fill(_ disk: BlockFrontend<EmbeddedDomain>) async throws {
    let byteCount = 128 << 10
    try await withThrowingTaskGroup(of: Void.self) { group in
        for reader in 0..<64 {
            let buffer = try disk.makeBuffer(byteCount: byteCount)
            group.addTask {
                for turn in 0..<64 {
                    let place = (reader * 64 + turn) % (diskByteCount / byteCount)
                    try await disk.read(at: UInt64(place * byteCount), into: buffer.all)
                }
            }
        }
        try await group.waitForAll()
    }
}
