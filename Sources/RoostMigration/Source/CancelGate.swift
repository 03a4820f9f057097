internal import RoostSystem
internal import Synchronization

/// Lets either a cancellation through or the last byte of a stream, whichever comes first.
///
/// Any thread may call any method.
final class CancelGate: Sendable {
    private enum Passed {
        static let nothing: UInt8 = 0
        static let cancellation: UInt8 = 1
        static let lastByte: UInt8 = 2
    }

    private let passed = Atomic<UInt8>(Passed.nothing)
    /// Raised by a cancellation that came first.
    let stop: StopSignal

    init(_ stop: StopSignal) {
        self.stop = stop
    }

    /// Whether a cancellation came first.
    var isCancelled: Bool { passed.load(ordering: .acquiring) == Passed.cancellation }

    /// Cancels.
    ///
    /// - Returns: `false` when the last byte was let through before.
    func cancel() -> Bool {
        let (isFirst, before) = passed.compareExchange(
            expected: Passed.nothing, desired: Passed.cancellation,
            ordering: .acquiringAndReleasing)
        if isFirst { stop.raise() }
        return isFirst || before == Passed.cancellation
    }

    /// Lets the last byte through.
    ///
    /// - Returns: `false` when a cancellation came first.
    func letLastByteThrough() -> Bool {
        passed.compareExchange(
            expected: Passed.nothing, desired: Passed.lastByte, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
