import RoostMigration
import Testing

@testable import RoostHost

/// What `roost migrate bench` refuses before it begins.
@Suite struct BenchMemoryTests {
    private func refusal(
        _ memory: UInt64, tracker: TrackerKind = .automatic, cache: Int? = nil, available: UInt64?
    ) -> String? {
        var workload = StampedGuestProgram.Workload()
        workload.byteCount = memory
        var options = ProcessMove.Options()
        options.tracker = tracker
        options.parameters.xbzrleCacheByteCount = cache
        do throws(HostError) {
            try BenchRun(workload, options).checkMemory(available: available)
            return nil
        } catch {
            return error.description
        }
    }

    @Test("a guest that would not fit twice is refused with what is available")
    func memory() {
        let text = refusal(100 << 30, available: 20 << 30)
        #expect(text?.contains("a guest of 100 GiB") == true)
        #expect(text?.contains("20.0 GiB are available") == true)
        #expect(refusal(10 << 30, available: 20 << 30) == nil)
        #expect(refusal(10 << 30 | 4096, available: 20 << 30) != nil)
        #expect(refusal(.max, available: .max) != nil)
        #expect(refusal(100 << 30, available: nil) == nil)
    }

    @Test("a shadow copy and a cache need room as well")
    func more() {
        #expect(refusal(10 << 20, tracker: .shadow, available: 29 << 20) != nil)
        #expect(refusal(10 << 20, tracker: .shadow, available: 30 << 20) == nil)
        #expect(refusal(10 << 20, cache: 1 << 20, available: 20 << 20) != nil)
    }
}
