import Glibc
import RoostSystem
import Testing

private struct Failure: Error, Equatable {}

@Suite(.timeLimit(.minutes(1))) struct DedicatedThreadTests {
    @Test("Work runs on another thread and its value comes back")
    func value() async throws {
        let caller = pthread_self()
        let (value, other) = try await DedicatedThread.run(name: "a name longer than 15") {
            (42, pthread_self())
        }
        #expect(value == 42)
        #expect(other != caller)
    }

    @Test("What the work throws comes back, typed")
    func failure() async throws {
        await #expect(throws: Failure()) {
            try await DedicatedThread.run(name: "fails") { throw Failure() }
        }
        let outcome = try await DedicatedThread.result(name: "fails") { () throws(Failure) -> Int in
            throw Failure()
        }
        #expect(outcome == .failure(Failure()))
    }

    @Test("Work written in code of the main actor runs off it")
    @MainActor
    func mainActor() async throws {
        var sum = 0
        sum += try await DedicatedThread.run(name: "off the main") { 1 }
        #expect(sum == 1)
    }

    @Test("Many threads run at once")
    func many() async throws {
        let total = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<64 {
                group.addTask { try await DedicatedThread.run(name: "\(number)") { number } }
            }
            return try await group.reduce(0, +)
        }
        #expect(total == 64 * 63 / 2)
    }

    @Test("A thread that cannot be started is an error")
    func refused() async {
        let error = await #expect(throws: SystemError.self) {
            try await DedicatedThread.run(name: "huge", stackByteCount: 1 << 60) {}
        }
        #expect(error?.kind == .thread)
    }
}
