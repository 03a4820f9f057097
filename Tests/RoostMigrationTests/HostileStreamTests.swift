import Glibc
import RoostMemory
import StreamSupport
import TestSupport
import Testing

@testable import RoostMigration

/// A stream can be made by anybody: what it costs to read is bounded by its length, and whatever
/// it holds is a value or an error, never a trap (MIG-11).
@Suite(.timeLimit(.minutes(2))) struct HostileStreamTests {
    /// The start of a stream whose blocks have these lengths, up to the list's end.
    private static func head(blocks: [UInt64], name: (Int) -> String = { "b\($0)" }) -> [UInt8] {
        var bytes = Array("QEVM".utf8) + [0, 0, 0, 3, 1, 0, 0, 0, 2, 3] + Array("ram".utf8)
        bytes += [0, 0, 0, 0, 0, 0, 0, 4]
        bytes += StreamEdit.integer(blocks.reduce(0) { $0 &+ $1 } | 4)
        for (index, byteCount) in blocks.enumerated() {
            bytes += StreamEdit.counted(name(index)) + StreamEdit.integer(byteCount)
        }
        return bytes
    }

    private static let footer: [UInt8] = [0x7e, 0, 0, 0, 2]
    private static let endOfSection = StreamEdit.integer(UInt64(0x10))
    private static let rest =
        endOfSection + footer + [3, 0, 0, 0, 2] + endOfSection + footer + [0]

    // MARK: Memory

    /// 4 TiB announced in some hundred bytes, in a process that may have 512 MiB.
    @Test(arguments: [1, 2048])
    func `memory that is announced and never sent costs nothing`(blocks: Int) async {
        await #expect(processExitsWith: .success) { [blocks = blocks as Int] in
            let lengths = [UInt64](repeating: (1 << 42) / UInt64(blocks), count: blocks)
            let bytes = HostileStreamTests.head(blocks: lengths) + HostileStreamTests.rest
            let folder = try TemporaryFolder()
            let path = try folder.file("stream", bytes)
            var limit = rlimit(rlim_cur: 512 << 20, rlim_max: 512 << 20)
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
            let (report, map) = try StreamTools.inspect(path: path) { _ in }
            try #require(report.memory.byteCount == 1 << 42)
            try #require(map.svg(title: "t").utf8.count < 8 << 20)
        }
    }

    @Test(arguments: [1 << 56, 1 << 56 + 4096, 1 << 63, UInt64.max & ~4095] as [UInt64])
    func `more memory than any guest has is refused`(total: UInt64) throws {
        let bytes = Self.head(blocks: [total]) + Self.rest
        let folder = try TemporaryFolder()
        let path = try folder.file("stream", bytes)
        let error = migrationError { _ = try StreamTools.inspect(path: path) { _ in } }
        #expect(error?.kind == (total > 1 << 56 ? .limit : nil))
        // Not even with a limit of the caller's that is no limit.
        var reader = StreamReader(maximumRAMByteCount: .max)
        var loader = StreamLoader(maximumRAMByteCount: .max)
        if total > 1 << 56 {
            #expect(
                migrationError { try reader.consume(unsafe bytes.span.bytes, into: &loader) }?.kind
                    == .limit)
        }
    }

    @Test func `lengths that only overflowing add up to the total are refused`() {
        var bytes = Self.head(blocks: [4096], name: { _ in "a" })
        bytes.replaceSubrange(
            bytes.count - 8..<bytes.count, with: StreamEdit.integer(UInt64.max & ~4095))
        #expect(migrationError { _ = try events(of: bytes + Self.rest) }?.kind == .malformed)
    }

    // MARK: Limits

    @Test func `a list has at most 2,048 blocks`() throws {
        let most = [UInt64](repeating: 4096, count: 2048)
        _ = try events(of: Self.head(blocks: most) + Self.rest)
        let error = migrationError {
            _ = try events(of: Self.head(blocks: most + [4096]) + Self.rest)
        }
        #expect(error?.kind == .limit)
    }

    /// The parts of CONFIGURATION come once, so it cannot outgrow what the reader keeps.
    @Test(arguments: [1, 1000, .max])
    func `a CONFIGURATION of endless parts is refused`(piece: Int) {
        let part =
            [5] + StreamEdit.counted("configuration/uuid") + [0, 0, 0, 1]
            + [UInt8](repeating: 1, count: 16)
        let bytes =
            Array("QEVM".utf8) + [0, 0, 0, 3, 7, 0, 0, 0, 2] + Array("pc".utf8)
            + [[UInt8]](repeating: part, count: 10_000).joined()
        #expect(migrationError { _ = try events(of: bytes, pieces: [piece]) }?.kind == .malformed)
    }

    @Test(arguments: [1, .max])
    func `the longest CONFIGURATION is read`(piece: Int) throws {
        var part = [5] + StreamEdit.counted("configuration/capabilities") + [0, 0, 0, 1]
        part += [0, 0, 0, 64]
        for _ in 0..<64 { part += StreamEdit.counted("x-ignore-shared") }
        var bytes = Array("QEVM".utf8) + [0, 0, 0, 3, 7, 0, 0, 0, 255]
        bytes += [UInt8](repeating: 0x61, count: 255) + part + [0]
        let events = try events(of: bytes, pieces: [piece])
        #expect(events.count == 3)
    }

    @Test(arguments: [1, 4096, .max])
    func `the longest command is read`(piece: Int) throws {
        // What its payload may be is the command's affair: discards are of any length, and named.
        let bytes =
            Array("QEVM".utf8) + [0, 0, 0, 3, 8, 0, 6, 0xff, 0xff]
            + [UInt8](repeating: 0, count: 65_535)
        #expect(migrationError { _ = try events(of: bytes, pieces: [piece]) }?.kind == .unsupported)
    }

    // MARK: Time

    /// As many sections as are allowed; finding one must not look at all.
    @Test func `many sections are read in time`() throws {
        var bytes = Self.head(blocks: [4096]) + Self.endOfSection + Self.footer
        for id in 100..<60_000 as Range<UInt32> {
            bytes += [1] + StreamEdit.integer(id) + StreamEdit.counted("s")
            bytes += [0, 0, 0, 0, 0, 0, 0, 1] + [0x7e] + StreamEdit.integer(id)
        }
        for id in 100..<60_000 as Range<UInt32> {
            bytes += [2] + StreamEdit.integer(id) + [0x7e] + StreamEdit.integer(id)
        }
        bytes += [3, 0, 0, 0, 2] + Self.endOfSection + Self.footer + [0]
        #expect(try events(of: bytes).count > 100_000)
    }

    @Test func `many devices are walked in time, up to a limit`() throws {
        var bytes = Self.head(blocks: [4096]) + Self.endOfSection + Self.footer
        bytes += [3, 0, 0, 0, 2] + Self.endOfSection + Self.footer
        func devices(_ count: UInt32) -> [UInt8] {
            var bytes: [UInt8] = []
            for id in 100..<100 + count {
                bytes += [4] + StreamEdit.integer(id) + StreamEdit.counted("s")
                bytes += [0, 0, 0, 0, 0, 0, 0, 1, 0x7e] + StreamEdit.integer(id)
            }
            return bytes
        }
        _ = try events(of: bytes + devices(60_000) + [0])
        #expect(
            migrationError { _ = try events(of: bytes + devices(70_000) + [0]) }?.kind == .limit)
    }

    /// Footers that are none, each followed by what could be an item.
    @Test func `a payload full of false footers is read in time`() throws {
        var bytes = Self.head(blocks: [4096]) + Self.endOfSection + Self.footer
        bytes += [3, 0, 0, 0, 2] + Self.endOfSection + Self.footer
        bytes += [4, 0, 0, 0, 9] + StreamEdit.counted("s") + [0, 0, 0, 0, 0, 0, 0, 1]
        for _ in 0..<200_000 { bytes += [0x7e, 0, 0, 0, 9, 4, 0, 0, 0, 7, 255] }
        bytes += [0x7e, 0, 0, 0, 9, 0]
        _ = try events(of: bytes)
    }

    /// Places where the description could begin, each with a length that reaches far.
    @Test func `many texts that look like the description are passed over in time`() throws {
        var bytes = Self.head(blocks: [4096]) + Self.endOfSection + Self.footer
        bytes += [3, 0, 0, 0, 2] + Self.endOfSection + Self.footer + [0]
        let start = bytes.count
        for _ in 0..<300_000 { bytes += [0x5a, 0, 6, 0, 8, 0, 0, 0x7b, 0x7d] }
        let tail = try tail(of: bytes)
        #expect(tail.trailing == bytes.count - start)
        #expect(!tail.hasDescription)
    }

    private func tail(of bytes: [UInt8]) throws -> (trailing: Int, hasDescription: Bool) {
        var log = StreamInspection()
        let tail = try read(bytes, into: &log)
        return (tail.trailingByteCount, tail.description != nil)
    }

    /// Subsections inside subsections, as deep as the decoder goes, on a thread's small stack.
    @Test(arguments: [(1, true), (100, true), (300, false), (5000, false)])
    func `a deep description is decoded or passed over`(depth: Int, isDecoded: Bool) async throws {
        let json =
            "{\"devices\":[{\"name\":\"a\",\"instance_id\":0,\"vmsd_name\":\"a\",\"version\":1"
            + String(
                repeating: ",\"subsections\":[{\"vmsd_name\":\"a\",\"version\":1", count: depth)
            + String(repeating: "}]", count: depth) + "}]}"
        let bytes =
            Self.head(blocks: [4096]) + Self.rest + [6]
            + StreamEdit.integer(UInt32(json.utf8.count))
            + Array(json.utf8)
        let tail = try tail(of: bytes)
        #expect(tail.trailing == 0)
        #expect(tail.hasDescription == isDecoded)
    }

    /// Many blocks with long names that differ at the end; each record names one.
    @Test func `a block is found in time among many`() throws {
        let name = { (index: Int) in String(repeating: "n", count: 250) + "\(1000 + index)" }
        var bytes = Self.head(blocks: [UInt64](repeating: 4096, count: 2048), name: name)
        bytes += Self.endOfSection + Self.footer + [2, 0, 0, 0, 2]
        for turn in 0..<20_000 {
            bytes += StreamEdit.record(2, block: name(turn * 7 % 2048), [0])
        }
        bytes += Self.rest
        let clock = ContinuousClock()
        var inspection = StreamInspection()
        let time = try clock.measure { try read(bytes, into: &inspection) }
        #expect(inspection.blocks.reduce(0) { $0 + $1.zero.pages } == 20_000)
        #expect(time < .seconds(20))
    }

    // MARK: The tail

    /// The end-of-file mark comes before the description that was found: it is something else.
    @Test func `a description behind other bytes is no description`() throws {
        let json = Array("{\"devices\":[]}".utf8)
        let text = [0, 6] + StreamEdit.integer(UInt32(json.count)) + json
        let bytes = Self.head(blocks: [4096]) + Self.rest + [1, 2, 3] + text
        let tail = try tail(of: bytes)
        #expect(!tail.hasDescription)
        #expect(tail.trailing == 3 + text.count)
    }

    @Test(arguments: 1...5)
    func `a description without its whole length is a cut`(count: Int) {
        let head = Array(([6, 0, 0, 0, 9] as [UInt8]).prefix(count))
        let error = migrationError {
            _ = try events(of: Self.head(blocks: [4096]) + Self.rest + head)
        }
        #expect(error?.kind == .truncated)
    }

    /// QEMU before 10.0 describes arrays with holes wrongly; the footer tells the true end.
    @Test(arguments: [
        "\"size\": 6", "\"size\": 3", "\"size\": 999999", "\"size\": 9223372036854775807",
    ])
    func `a length that the footer contradicts is corrected`(size: String) throws {
        let payload: [UInt8] = [1, 2, 3, 4]
        let device =
            [4, 0, 0, 0, 9] + StreamEdit.counted("dev") + [0, 0, 0, 0, 0, 0, 0, 1] + payload
            + [0x7e, 0, 0, 0, 9]
        let json = Array(
            "{\"devices\":[{\"name\":\"dev\",\"instance_id\":0,\(size)}]}".utf8)
        var stream = Self.head(blocks: [4096]) + Self.rest
        stream.removeLast()
        stream += device + [0, 6] + StreamEdit.integer(UInt32(json.count)) + json
        var inspection = StreamInspection()
        let tail = try read(stream, into: &inspection)
        #expect(tail.sections.map(\.byteCount) == [4])
    }

    @Test func `a description of other devices is malformed`() throws {
        let device =
            [4, 0, 0, 0, 9] + StreamEdit.counted("dev") + [
                0, 0, 0, 0, 0, 0, 0, 1, 0x7e, 0, 0, 0, 9,
            ]
        let json = Array("{\"devices\":[{\"name\":\"other\",\"instance_id\":0,\"size\":0}]}".utf8)
        var stream = Self.head(blocks: [4096]) + Self.rest
        stream.removeLast()
        stream += device + [0, 6] + StreamEdit.integer(UInt32(json.count)) + json
        let error = migrationError { _ = try events(of: stream) }
        #expect(error?.kind == .malformed)
        #expect(error?.description.contains("dev") == true)
    }

    @Test func `without footers and description a device's end cannot be known`() throws {
        let bytes = try StreamFixtures.bytes("7.2-q35-no-footers.stream")
        let map = try StreamMap(bytes)
        var inspection = StreamInspection()
        let described = try read(bytes, into: &inspection).descriptionByteCount
        let error = migrationError { _ = try verify(Array(bytes.dropLast(described + 5))) }
        #expect(error?.kind == .unsupported)
        #expect(error?.streamOffset ?? 0 > UInt64(map.tail))
    }

    @Test func `bytes behind a stream without a description are counted`() throws {
        let bytes = try StreamFixtures.bytes("7.2-q35-suppress-vmdesc.stream")
        let report = try verify(bytes + [9, 9, 9])
        #expect(report.trailingByteCount == 3)
        #expect(report.sections.count == 33)
    }

    // MARK: Mutations

    static let mutated = StreamFixtures.names.filter { !$0.contains("mapped-ram") }

    /// Random edits of every recording, at places that matter as often as anywhere.
    @Test(arguments: mutated, 0..<20 as Range<UInt64>)
    func `MIG-11 a damaged stream is a value or an error`(file: String, seed: UInt64) throws {
        var random = SeededRandom(seed: file.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) })
        let bytes = try StreamFixtures.bytes(file)
        let places = Self.places[file] ?? [0]
        for _ in 0..<4 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                Self.damage(&damaged, places, &random)
            }
            do throws(MigrationError) {
                var loader = StreamLoader(maximumRAMByteCount: 64 << 20)
                var reader = StreamReader(maximumRAMByteCount: 64 << 20)
                try reader.consume(unsafe damaged.span.bytes, into: &loader)
                let tail = try reader.finish()
                loader.inspection.finish(tail)
                _ = PageMap(loader.inspection)
            } catch {
                #expect(error.streamOffset ?? 0 <= UInt64(damaged.count))
                #expect(!error.description.isEmpty)
            }
        }
    }

    /// Where items begin, by recording.
    private static let places: [String: [Int]] = {
        var places: [String: [Int]] = [:]
        for file in mutated {
            guard let bytes = try? StreamFixtures.bytes(file), let map = try? StreamMap(bytes)
            else { continue }
            var found = [0, 4, 8, 9, 13, map.tail]
            found += map.sections.flatMap { [$0.payload - 5, $0.payload, $0.footer] }
            found += map.blocks.map(\.start) + map.recordEnds + map.commands.map(\.start)
            found += map.pages.map { Int($0.streamOffset) }
            found += (try? devices(of: bytes)) ?? []
            places[file] = found.filter { $0 >= 0 && $0 < bytes.count }
        }
        return places
    }()

    /// Where the devices begin behind the memory, and the description.
    private static func devices(of bytes: [UInt8]) throws -> [Int] {
        var inspection = StreamInspection()
        let tail = try read(bytes, into: &inspection)
        return tail.sections.map { Int($0.header.streamOffset) }
            + [bytes.count - tail.descriptionByteCount - 5]
    }

    private static func damage(
        _ bytes: inout [UInt8], _ places: [Int], _ random: inout SeededRandom
    ) {
        guard !bytes.isEmpty else { return }
        var place = Int.random(in: 0..<bytes.count, using: &random)
        if Bool.random(using: &random) {
            let near = places[Int.random(in: 0..<places.count, using: &random)]
            place = min(near + Int.random(in: 0..<24, using: &random), bytes.count - 1)
        }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes.removeSubrange(place...)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
        case 3: bytes.remove(at: place)
        case 4:
            // A length field: all ones, or a small number.
            let value: UInt8 = Bool.random(using: &random) ? 0xff : 0
            for index in place..<min(place + 8, bytes.count) { bytes[index] = value }
        default:
            // A piece of the stream a second time, or elsewhere.
            let count = min(Int.random(in: 1...64, using: &random), bytes.count - place)
            let piece = Array(bytes[place..<place + count])
            bytes.insert(
                contentsOf: piece, at: Int.random(in: 0...bytes.count, using: &random))
        }
    }
}
