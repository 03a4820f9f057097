import RoostSystem
import Testing

@Suite(.timeLimit(.minutes(1))) struct SemaphoreTests {
    @Test func `it counts signals`() throws {
        let semaphore = try Semaphore()
        #expect(!semaphore.tryWait())
        semaphore.signal()
        semaphore.signal()
        semaphore.wait()
        #expect(semaphore.tryWait())
        #expect(!semaphore.tryWait())
    }

    @Test func `two threads take turns`() async throws {
        let (ping, pong) = (try Semaphore(), try Semaphore())
        let other = Task {
            try await DedicatedThread.run(name: "pong") {
                for _ in 0..<1000 {
                    ping.wait()
                    pong.signal()
                }
            }
        }
        let turns = try await DedicatedThread.run(name: "ping") {
            var turns = 0
            while turns < 1000 {
                ping.signal()
                pong.wait()
                turns += 1
            }
            return turns
        }
        try await other.value
        #expect(turns == 1000)
        #expect(!ping.tryWait() && !pong.tryWait())
    }
}
