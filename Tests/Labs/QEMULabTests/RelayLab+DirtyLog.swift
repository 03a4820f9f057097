import LabSupport
import RoostMigration
import Testing

extension RelayLab {
    // For RAM that is a multiple of 256 KiB, QEMU 7.2 reads its dirty log by the word and does not
    // make the emulated CPU tell of the next write again. So every laboratory that compares memory
    // gives guests another size; this one shows why, with no Roost in it.
    @Test(
        "QEMU 7.2 under TCG itself loses writes of a guest whose RAM is a multiple of 256 KiB",
        arguments: [(262_144, true), (262_208, false)])
    func lostWrites(memoryKiB: Int, areLost: Bool) async throws {
        try await LabClock.measure("QEMU alone, \(memoryKiB) KiB") {
            var differing = try await migrateWithoutRoost(memoryKiB: memoryKiB)
            // Now and then a whole move is spared.
            for _ in 0..<9 where areLost && differing == 0 {
                differing = try await migrateWithoutRoost(memoryKiB: memoryKiB)
            }
            print("QEMU alone, \(memoryKiB) KiB: \(differing) pages differ")
            #expect((differing > 0) == areLost)
        }
    }

    /// Moves a tiny guest from one QEMU to the other.
    ///
    /// - Returns: How many pages of the destination are not as they were at the source.
    private func migrateWithoutRoost(memoryKiB: Int) async throws -> Int {
        let source = try await tiny("source", memoryKiB: memoryKiB)
        let destination = try await tiny(
            "destination", waits: true, stopped: true, memoryKiB: memoryKiB)
        let incoming = try await destination.listen()
        let migration = try await LabMigration(
            of: source, to: incoming, capabilities: ["return-path"])
        // What was written before the second round is in it, if the log tells of it.
        try await migration.reach(round: 2)
        try await source.turn(after: source.lastTurn() + 1)
        try await migration.hurry()
        try await migration.complete()
        try await destination.status("paused")
        let differing = try MemoryFiles.differingPages(source.memoryFile, destination.memoryFile)
        try await source.close()
        try await destination.close()
        return differing.count
    }
}
