@testable import RoostMemory

/// Frames as arrays, for tests.
extension FrameBatch {
    /// Adds a copy of some bytes; answers the slot, nil when there is no room.
    mutating func append(_ bytes: [UInt8]) -> Int? {
        // SAFETY: any bytes are bytes.
        append(unsafe bytes.span.bytes)
    }

    /// A copy of a frame.
    func bytes(_ slot: Int) -> [UInt8] {
        [UInt8](frame(slot))
    }
}
