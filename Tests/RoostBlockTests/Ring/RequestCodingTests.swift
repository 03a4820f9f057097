import RoostHypervisor
import TestSupport
import Testing

@testable import RoostBlock

@Suite("Requests and responses in a slot")
struct RequestCodingTests {
    /// A slot's bytes, padded with zeros to its length.
    private static func words(
        _ name: String, _ blockProtocol: BlockProtocol
    ) throws -> SlotWords {
        let table = blockProtocol == .x86_64 ? GoldenSlots.wide : GoldenSlots.narrow
        let text = Array(try #require(table[name]).utf8)
        var words = SlotWords(repeating: 0)
        for index in 0..<text.count / 2 {
            let pair = String(decoding: text[2 * index..<2 * index + 2], as: UTF8.self)
            words[index / 4] |= try #require(UInt32(pair, radix: 16)) << (8 * (UInt32(index) % 4))
        }
        return words
    }

    private static func array<let count: Int>(_ words: [count of UInt32]) -> [UInt32] {
        words.indices.map { words[$0] }
    }

    /// The requests of the golden bytes, as they were given to the C compiler.
    private static func request(_ name: String) -> BlockRequest {
        func segments(_ request: inout BlockRequest, _ count: Int) {
            request.segmentCount = count
            for index in 0..<count {
                request.segments[index] = BlockSegment(
                    grant: GrantReference(rawValue: 0xa0b0_c000 + UInt32(index)),
                    firstSector: UInt8(index % 8), lastSector: 7)
            }
        }
        let id: UInt64 = 0x1122_3344_5566_7788
        let sector: UInt64 = 0x0102_0304_0506_0708
        var request: BlockRequest
        switch name {
        case "read":
            request = BlockRequest(.read, id: id, sector: sector)
            request.handle = 0xca00
            segments(&request, 1)
        case "write":
            request = BlockRequest(.write, id: id + 1, sector: sector + 1)
            request.handle = 0xca01
            segments(&request, 11)
        case "barrier":
            request = BlockRequest(.writeBarrier, id: id + 2, sector: sector + 2)
            request.handle = 0xca02
            segments(&request, 3)
        case "flush":
            request = BlockRequest(.flush, id: id + 3)
            request.handle = 0xca03
        case "discard":
            request = BlockRequest(.discard, id: 0x8877_6655_4433_2211, sector: 0x12_3456_7890)
            request.handle = 0xca10
            request.isSecure = true
            request.discardSectorCount = 0xfedc_ba98_7654_3210
        default:
            request = BlockRequest(
                .indirect, id: 0xdead_beef_cafe_f00d, sector: 0x0fed_cba9_8765_4321)
            request.handle = 0xca20
            request.innerCode = BlockOperation.write.rawValue
            request.segmentCount = 0x1000
            for index in 0..<8 {
                request.indirectGrants[index] = 0x0102_0304 * UInt32(index + 1)
            }
        }
        return request
    }

    @Test(
        "BLK-12: each kind of request is written as Xen's header lays it out",
        arguments: ["read", "write", "barrier", "flush", "discard", "indirect"],
        BlockProtocol.allCases)
    func requestIsWrittenAsTheHeaderHasIt(name: String, blockProtocol: BlockProtocol) throws {
        let golden = Self.array(try Self.words(name, blockProtocol))
        #expect(Self.array(Self.request(name).encoded(blockProtocol)) == golden)
    }

    @Test(
        "BLK-12: each kind of request is read as Xen's header lays it out",
        arguments: ["read", "write", "barrier", "flush", "discard", "indirect"],
        BlockProtocol.allCases)
    func requestIsReadAsTheHeaderHasIt(name: String, blockProtocol: BlockProtocol) throws {
        let read = BlockRequest(try Self.words(name, blockProtocol), blockProtocol)
        expectEqual(read, Self.request(name))
    }

    @Test("A response is written and read as Xen's header lays it out")
    func responseIsAsTheHeaderHasIt() throws {
        let response = BlockResponse(id: 0x1122_3344_5566_7788, code: 1, .unsupported)
        let golden = Self.array(try Self.words("response", .x86_64)).prefix(4)
        #expect(Self.array(response.encoded)[...] == golden)
        #expect(Self.array(try Self.words("response", .x86_32)).prefix(4) == golden)
        #expect(BlockResponse(response.encoded) == response)
        #expect(BlockResponse.byteCount(.x86_64) == 16)
        #expect(BlockResponse.byteCount(.x86_32) == 12)
    }

    @Test("An indirect request is answered with its inner operation")
    func indirectIsAnsweredWithItsInnerOperation() {
        var request = BlockRequest(.indirect, id: 1)
        request.innerCode = 1
        #expect(request.answeredCode == 1)
        #expect(BlockRequest(.flush, id: 1).answeredCode == 3)
    }

    @Test("Of an unknown operation nothing but code and identifier is read")
    func unknownOperationIsNotRead() {
        var words = SlotWords(repeating: 0xffff_ffff)
        words[0] = 0xffff_ff4d
        let request = BlockRequest(words, .x86_64)
        var expected = BlockRequest(.read, id: UInt64.max)
        expected.code = 0x4d
        expectEqual(request, expected)
    }

    @Test("A request that claims too many segments is read without a trap")
    func tooManySegmentsAreRead() {
        var words = SlotWords(repeating: 0xffff_ffff)
        words[0] = 0x0000_ff01
        for blockProtocol in BlockProtocol.allCases {
            let request = BlockRequest(words, blockProtocol)
            #expect(request.segmentCount == 255)
            #expect(request.segments[10] == BlockSegment(0xffff_ffff, 0xffff))
        }
    }

    @Test(
        "Any bytes read as a request, and what is written from it reads the same", arguments: 0..<32
    )
    func encodingThenDecodingGivesTheSame(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        for _ in 0..<200 {
            var words = SlotWords(repeating: 0)
            for index in words.indices {
                words[index] = UInt32.random(in: 0...UInt32.max, using: &random)
            }
            words[0] = words[0] & ~0xff | UInt32.random(in: 0...7, using: &random)
            for blockProtocol in BlockProtocol.allCases {
                var request = BlockRequest(words, blockProtocol)
                guard request.operation != nil else { continue }
                if request.operation != .indirect { request.segmentCount %= 12 }
                for index in request.segments.indices where index >= request.segmentCount {
                    request.segments[index] = .none
                }
                let written = request.encoded(blockProtocol)
                expectEqual(BlockRequest(written, blockProtocol), request)
            }
        }
    }
}

/// Expects two requests to be the same in every field.
func expectEqual(
    _ one: BlockRequest, _ other: BlockRequest, _ location: SourceLocation = #_sourceLocation
) {
    func fields(_ request: BlockRequest) -> [UInt64] {
        let plain: [UInt64] = [
            UInt64(request.code), UInt64(request.innerCode), UInt64(request.handle), request.id,
            request.sector, UInt64(request.segmentCount), request.discardSectorCount,
            request.isSecure ? 1 : 0,
        ]
        let segments = request.segments.indices.map {
            UInt64(request.segments[$0].grant) << 32 | UInt64(request.segments[$0].sectorWord)
        }
        return plain + segments
            + request.indirectGrants.indices.map { UInt64(request.indirectGrants[$0]) }
    }
    #expect(fields(one) == fields(other), sourceLocation: location)
}
