import RoostSystem
import Synchronization
import Testing

@testable import RoostMigration

/// Parameters that several change while a guest moves.
@Suite(.timeLimit(.minutes(1))) struct SourceUpdateTests {
    @Test func `MIG-10 of changes at the same time none is lost`() async throws {
        let guest = ScriptedGuest([try ScriptedGuest.Block("ram", pages: 1)])
        // Kept open; nothing is sent.
        let (near, far) = try StreamSocket.pair()
        let source = try MigrationSource(
            blocks: guest.state.withLock { $0.blocks }.map(\.migrated), tracker: guest,
            guest: guest, throttle: nil, connection: SocketConnection(near),
            parameters: MigrationParameters(), logger: .quiet)
        let (callers, changes) = (4, 5000)
        try await withThrowingTaskGroup { group in
            for _ in 0..<callers {
                group.addTask {
                    for _ in 0..<changes {
                        try source.update { $0.maximumBytesPerSecond += 1 }
                    }
                }
            }
            try await group.waitForAll()
        }
        var sum: UInt64 = 0
        try source.update { sum = $0.maximumBytesPerSecond }
        #expect(sum == UInt64(callers * changes))
        far.shutdown(.both)
    }
}
