import RoostMemory
import StreamSupport
import TestSupport
import Testing

@_spi(Testing) @testable import RoostMigration

/// The receiving half against whatever a relay may send.
@Suite(.timeLimit(.minutes(2))) struct WireAssemblerTests {
    private static func take(
        payloads: [(WireFormat.Kind, [UInt8])], isStored: Bool = false
    ) throws(MigrationError) -> UInt64 {
        let bytes = payloads.flatMap { kind, payload in
            [kind.rawValue] + StreamEdit.integer(UInt16(truncatingIfNeeded: payload.count))
                + payload
        }
        return try WireReplay.take(
            payloads: unsafe bytes.span.bytes, isStored: isStored, maximumRAMByteCount: 16 << 20)
    }

    private static let ram: [UInt8] =
        [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4] + Array("ram".utf8)

    /// A list of blocks of one name and their lengths in pages.
    private static func list(_ pages: [UInt64]) -> [UInt8] {
        let zeros = [UInt8](repeating: 0, count: 16)
        return [0] + StreamEdit.integer(UInt16(pages.count))
            + pages.flatMap { [1, 0x61] + StreamEdit.integer($0 << 12) + zeros }
    }

    private static func record(
        _ code: WireFormat.PageCode, block: UInt16 = 0, page: UInt64, count: UInt16,
        _ body: [UInt8] = []
    ) -> [UInt8] {
        StreamEdit.integer(page << 12 | code.rawValue) + StreamEdit.integer(block)
            + StreamEdit.integer(count) + body
    }

    private static let begin: [(WireFormat.Kind, [UInt8])] = [
        (.begin, [0, 0, 0, 3]), (.section, ram), (.blocks, list([4, 2])),
    ]

    @Test func `a conversation makes a stream`() throws {
        let bytes = WireFrame.bytes(WireTests.conversation)
        let count = try WireReplay.take(
            wire: unsafe bytes.span.bytes, isStored: false, maximumRAMByteCount: 1 << 20)
        // What asks for answers is left out of a file: an item of 5 bytes, and one of 9.
        let stored = try WireReplay.take(
            wire: unsafe bytes.span.bytes, isStored: true, maximumRAMByteCount: 1 << 20)
        #expect(count == stored + 14)
    }

    @Test func `pages outside their block are refused`() throws {
        let page = [UInt8](repeating: 1, count: 4096)
        let inside = [
            Self.record(.plain, page: 3, count: 4096, page), Self.record(.fill, page: 0, count: 9),
            Self.record(.zeroRun, page: 0, count: 4), Self.record(.zeroRun, page: 9, count: 0),
            Self.record(.zeroRun, block: 1, page: 0, count: 2),
        ]
        for record in inside {
            _ = try Self.take(payloads: Self.begin + [(.pages, record)])
        }
        let outside = [
            Self.record(.plain, page: 4, count: 4096, page), Self.record(.fill, page: 4, count: 9),
            Self.record(.zeroRun, page: 0, count: 5), Self.record(.zeroRun, page: 4, count: 1),
            Self.record(.zeroRun, block: 1, page: 1, count: 2),
            Self.record(.zeroRun, block: 2, page: 0, count: 1),
            Self.record(.zeroRun, block: .max, page: 0, count: 1),
            Self.record(.zeroRun, page: .max >> 12, count: .max),
            Self.record(.fill, page: .max >> 12, count: 0),
        ]
        for record in outside {
            let error = migrationError {
                _ = try Self.take(payloads: Self.begin + [(.pages, record)])
            }
            #expect(error != nil)
        }
    }

    @Test func `records that are cut short or unknown are refused`() throws {
        let page = [UInt8](repeating: 1, count: 4096)
        let records = [
            Array(Self.record(.plain, page: 0, count: 4096, page).dropLast()),
            Array(Self.record(.zeroRun, page: 0, count: 1).dropLast()),
            Self.record(.delta, page: 0, count: 9, [0]),
            Self.record(.compressed, page: 0, count: 9, [0]),
            StreamEdit.integer(UInt64(5)) + [0, 0, 0, 1],
            StreamEdit.integer(UInt64(0xfff)) + [0, 0, 0, 1],
        ]
        for record in records {
            let error = migrationError {
                _ = try Self.take(payloads: Self.begin + [(.pages, record)])
            }
            #expect(error?.kind == .peer)
        }
    }

    @Test func `lists that do not fit are refused`() {
        let before = Array(Self.begin.dropLast())
        let lists: [[UInt8]] = [
            [], [0], [0, 0], [0, 0, 1], Self.list([1]) + [0], Array(Self.list([1]).dropLast()),
            Self.list([1 << 13]), Self.list([.max >> 12]), Self.list([.max >> 12, .max >> 12]),
            [0, 0, 1, 0] + [UInt8](repeating: 0, count: 24),
            [0, 0, 1, 1, 0x61, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 16),
            [0, 0xff, 0xff] + [UInt8](repeating: 0, count: 64),
        ]
        for list in lists {
            #expect(
                migrationError { _ = try Self.take(payloads: before + [(.blocks, list)]) } != nil)
        }
    }

    /// What may follow what: each kind is tried at each place.
    @Test func `frames out of place are refused`() {
        let opaque: (WireFormat.Kind, [UInt8]) = (.opaque, [0])
        let end: (WireFormat.Kind, [UInt8]) = (.endOfSection, [0, 0, 0, 2, 1])
        let device: (WireFormat.Kind, [UInt8]) = (
            .section, [4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0x64]
        )
        let start: (WireFormat.Kind, [UInt8]) = (.begin, [0, 0, 0, 3])
        let samples: [(WireFormat.Kind, [UInt8])] = [
            start, (.configuration, [0, 0, 0, 0]), (.section, Self.ram), (.blocks, Self.list([4])),
            (.pages, []), opaque, (.endOfRecords, []), end, (.command, [0, 1]),
            (.end, [UInt8](repeating: 0, count: 24)), (.ready, []),
            (.acknowledge, [UInt8](repeating: 0, count: 16)), (.answer, [0]), (.failed, []),
            (.commit, [UInt8](repeating: 0, count: 8)), (.started, []), (.beat, []),
        ]
        let places: [(before: [(WireFormat.Kind, [UInt8])], allowed: Set<WireFormat.Kind>)] = [
            ([], [.begin]),
            ([start], [.configuration, .section, .command]),
            ([start, (.configuration, [0, 0, 0, 0])], [.section, .command, .opaque]),
            ([start, device], [.opaque, .endOfSection]),
            ([start, (.section, Self.ram)], [.blocks, .endOfRecords, .endOfSection]),
            (Self.begin, [.pages, .endOfRecords, .endOfSection]),
            (Self.begin + [end], [.section, .command, .opaque]),
            (Self.begin + [end, opaque], [.opaque, .end]),
            // A stream that looked whole may go on.
            (
                Self.begin + [end, opaque, (.end, [UInt8](repeating: 0, count: 24))],
                [.opaque, .end]
            ),
        ]
        for (before, allowed) in places {
            for sample in samples {
                let error = migrationError { _ = try Self.take(payloads: before + [sample]) }
                #expect(
                    (error == nil) == allowed.contains(sample.0),
                    "\(sample.0) behind \(before.map(\.0)): \(error as MigrationError?)")
            }
        }
    }

    @Test func `a footer of another section is refused`() {
        for payload: [UInt8] in [[0, 0, 0, 3, 1], [0, 0, 0, 2, 2]] {
            let error = migrationError {
                _ = try Self.take(payloads: Self.begin + [(.endOfSection, payload)])
            }
            #expect(error?.kind == .peer)
        }
    }

    @Test(arguments: UInt64(0)..<300)
    func `sound frames of anything give a stream or an error`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        // Often a good beginning, so that what follows is looked at.
        var payloads = seed % 4 == 0 ? [] : Self.begin
        for _ in 0..<Int.random(in: 1...40, using: &random) {
            let kind = WireFormat.Kind(rawValue: UInt8.random(in: 1...23, using: &random)) ?? .end
            payloads.append((kind, Self.payload(of: kind, using: &random)))
        }
        let outcome = migrationError {
            _ = try Self.take(payloads: payloads, isStored: seed % 2 == 0)
        }
        #expect(outcome.map { !$0.description.isEmpty } ?? true)
    }

    /// Something of about the shape a kind has.
    private static func payload(
        of kind: WireFormat.Kind, using random: inout SeededRandom
    ) -> [UInt8] {
        func noise(_ range: ClosedRange<Int>) -> [UInt8] {
            (0..<Int.random(in: range, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
        }
        guard Int.random(in: 0..<8, using: &random) > 0 else { return noise(0...300) }
        switch kind {
        case .pages:
            return (0..<Int.random(in: 0...30, using: &random)).flatMap { _ in
                let code =
                    WireFormat.PageCode(rawValue: UInt64.random(in: 0...4, using: &random)) ?? .fill
                let count = UInt16.random(
                    in: Bool.random(using: &random) ? 0...16 : 0...UInt16.max, using: &random)
                let body: [UInt8] =
                    switch code {
                    case .plain: noise(4096...4096)
                    case .delta, .compressed: noise(Int(min(count, 64))...Int(min(count, 64)))
                    case .zeroRun, .fill: []
                    }
                return record(
                    code, block: UInt16.random(in: 0...2, using: &random),
                    page: UInt64.random(in: 0...6, using: &random), count: count, body)
            }
        case .section:
            return [UInt8.random(in: 1...5, using: &random)] + noise(12...12)
                + (Bool.random(using: &random) ? Array("ram".utf8) : noise(1...255))
        case .blocks:
            return list((0..<3).map { _ in UInt64.random(in: 0...2000, using: &random) })
        case .endOfSection: return [0, 0, 0, 2, UInt8.random(in: 0...1, using: &random)]
        case .command: return [0, UInt8.random(in: 0...12, using: &random)] + noise(0...8)
        default: return noise(kind.byteCounts.lowerBound...min(kind.byteCounts.upperBound, 300))
        }
    }

    @Test(arguments: UInt64(0)..<100)
    func `damaged bytes of a wire give a stream or an error`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var bytes = WireFrame.bytes(WireTests.conversation)
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<3, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.remove(at: place)
            default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            }
        }
        let damaged = bytes
        let error = migrationError {
            _ = try WireReplay.take(
                wire: unsafe damaged.span.bytes, isStored: false, maximumRAMByteCount: 1 << 20)
        }
        #expect(error == nil || error?.kind == .peer)
    }
}
