import RoostMemory
import Testing

@testable import RoostMigration

/// What follows the memory, walked as it comes.
@Suite(.timeLimit(.minutes(1))) struct TailWalkTests {
    /// A device's section with a payload of zeros.
    private static func section(_ id: UInt8, payload: Int) -> [UInt8] {
        [4, 0, 0, 0, id, 1, 0x78, 0, 0, 0, 0, 0, 0, 0, 1]
            + [UInt8](repeating: 0, count: payload) + [0x7e, 0, 0, 0, id]
    }

    /// The walk takes a MiB at once, and the command lies across.
    @Test(arguments: [1, 4, 5, 6, 1024, 1025, 65_535, 65_539])
    func `an item as long as they come may lie anywhere`(before: Int) {
        let question: [UInt8] = [8, 0, 2, 0, 4, 0, 0, 0, 1]
        let head = Self.section(1, payload: 0).count + question.count
        let long = [8, 0, 2, 0xff, 0xff] + [UInt8](repeating: 7, count: 65_535)
        let bytes =
            Self.section(1, payload: (1 << 20) - head - before) + question + long
            + Self.section(2, payload: 2 << 20) + [0]
        var walk = TailWalk(KnownSections())
        walk.append(unsafe bytes.span.bytes)
        let isWholeNow = walk.isWhole
        #expect(isWholeNow)
        let reason = walk.finish()
        #expect(reason == nil)
        let sectionsNow = walk.sections
        #expect(sectionsNow.map(\.byteCount) == [(1 << 20) - head - before, 2 << 20])
    }
}
