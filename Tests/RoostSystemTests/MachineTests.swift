import Testing

@testable import RoostSystem

@Suite struct MachineTests {
    @Test("the available memory is what the kernel says, and unknown where it says nothing")
    func availableMemory() {
        let text = "MemTotal:       24690112 kB\nMemAvailable:   20000000 kB\n"
        #expect(ThisProcess.availableMemory(told: text) == 20_480_000_000)
        #expect(ThisProcess.availableMemory(told: "MemTotal: 5 kB\n") == nil)
        #expect(ThisProcess.availableMemory(told: "MemAvailable:\n") == nil)
        #expect(ThisProcess.availableMemory(told: "MemAvailable: \(UInt64.max) kB\n") == nil)
        #expect(ThisProcess.availableMemory != 0)
    }
}
