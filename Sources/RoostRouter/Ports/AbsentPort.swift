internal import RoostMemory
internal import SystemPackage

/// A port that takes and gives nothing: it stands where a router's tables are tried without its ports.
final class AbsentPort: FramePort {
    let counters: PortCounters

    var descriptor: FileDescriptor? { nil }

    init() throws(RouterError) {
        counters = try PortCounters(workerCount: 1)
    }

    func receive(into batch: inout FrameBatch, worker: Int) -> PortState { .down }

    func transmit(_ slots: SlotSet, of batch: borrowing FrameBatch, worker: Int) -> PortState {
        .down
    }
}
