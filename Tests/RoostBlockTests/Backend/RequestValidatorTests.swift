import TestSupport
import Testing

@testable @_spi(Fuzzing) import RoostBlock

@Suite("What of a request can be done")
struct RequestValidatorTests {
    private static func validator(
        _ change: (inout DiskGeometry) -> Void = { _ in }, indirect: Int = 32
    ) -> RequestValidator {
        var geometry = DiskGeometry(sectorCount: 1000)
        change(&geometry)
        return RequestValidator(geometry: geometry, indirectSegmentLimit: indirect)
    }

    private static func request(_ operation: BlockOperation, segments: Int = 0) -> BlockRequest {
        var request = BlockRequest(operation, id: 1)
        request.segmentCount = segments
        return request
    }

    @Test(
        "BLK-12: reads and writes have from one to eleven segments",
        arguments: [BlockOperation.read, .write], [0, 1, 11, 12, 255])
    func directRequestsHaveUpToElevenSegments(operation: BlockOperation, count: Int) {
        let verdict = Self.validator().check(Self.request(operation, segments: count))
        guard 1...11 ~= count else {
            #expect(verdict == .refuse(.error))
            return
        }
        let expected = RequestPlan(
            operation: operation == .read ? .read : .write, steps: .transfer, segmentCount: count)
        #expect(verdict == .accept(expected))
    }

    @Test("BLK-12: on a read-only disk nothing is written or discarded, and flushes do nothing")
    func readOnlyDiskIsNotWritten() {
        let validator = Self.validator { $0.isReadOnly = true }
        #expect(validator.check(Self.request(.write, segments: 1)) == .refuse(.error))
        #expect(validator.check(Self.request(.writeBarrier, segments: 1)) == .refuse(.error))
        #expect(validator.check(Self.request(.flush, segments: 1)) == .refuse(.error))
        var discard = Self.request(.discard)
        discard.discardSectorCount = 8
        #expect(validator.check(discard) == .refuse(.error))
        var indirect = Self.request(.indirect, segments: 3)
        indirect.innerCode = 1
        #expect(validator.check(indirect) == .refuse(.error))
        indirect.innerCode = 0
        #expect(validator.check(indirect) != .refuse(.error))
        #expect(
            validator.check(Self.request(.flush))
                == .accept(RequestPlan(operation: .write, steps: .flushBefore)))
    }

    @Test("An unknown operation is not supported", arguments: [4, 7, 77, 255] as [UInt8])
    func unknownOperationIsNotSupported(code: UInt8) {
        var request = Self.request(.read, segments: 1)
        request.code = code
        #expect(Self.validator().check(request) == .refuse(.unsupported))
    }

    @Test("BLK-12: a flush or barrier without segments is done though none was offered")
    func emptyFlushIsDoneThoughNotOffered() {
        let plain = Self.validator { $0.canFlush = false }
        #expect(
            plain.check(Self.request(.flush)) == .accept(RequestPlan(operation: .write, steps: [])))
        #expect(
            plain.check(Self.request(.writeBarrier))
                == .accept(RequestPlan(operation: .write, steps: [], isBarrier: true)))
        #expect(
            Self.validator().check(Self.request(.writeBarrier, segments: 2))
                == .accept(
                    RequestPlan(
                        operation: .write, steps: [.flushBefore, .transfer, .flushAfter],
                        isBarrier: true, segmentCount: 2)))
        #expect(
            Self.validator().check(Self.request(.flush, segments: 11))
                == .accept(
                    RequestPlan(
                        operation: .write, steps: [.flushBefore, .transfer], segmentCount: 11)))
        #expect(Self.validator().check(Self.request(.flush, segments: 12)) == .refuse(.error))
    }

    @Test(
        "BLK-12: a discard lies on the disk, is no request for secrecy, and may be unsupported",
        arguments: [
            (0, 1000, true), (0, 1001, false), (999, 1, true), (1000, 0, true), (1000, 1, false),
            (1, UInt64.max, false), (UInt64.max, 2, false), (UInt64.max, UInt64.max, false),
        ] as [(UInt64, UInt64, Bool)])
    func discardLiesOnTheDisk(sector: UInt64, count: UInt64, isGood: Bool) {
        var request = Self.request(.discard)
        request.sector = sector
        request.discardSectorCount = count
        request.isSecure = true
        let plan = RequestPlan(
            operation: .discard, steps: count > 0 ? .transfer : [], discardSectorCount: count)
        #expect(
            Self.validator().check(request) == (isGood ? .accept(plan) : .refuse(.error)))
        #expect(
            Self.validator { $0.canDiscard = false }.check(request)
                == .refuse(isGood ? .unsupported : .error))
    }

    @Test("BLK-12: an indirect request reads or writes, with no more segments than were offered")
    func indirectRequestIsLimited() {
        for (inner, count, verdict) in [
            (0, 1, nil), (1, 32, nil), (0, 0, .refuse(.error)), (0, 33, .refuse(.error)),
            (0, 65535, .refuse(.error)), (2, 1, .refuse(.error)), (3, 1, .refuse(.error)),
            (5, 1, .refuse(.error)), (6, 1, .refuse(.error)), (77, 1, .refuse(.error)),
        ] as [(UInt8, Int, RequestVerdict?)] {
            var request = Self.request(.indirect, segments: count)
            request.innerCode = inner
            let plan = RequestPlan(
                operation: inner == 0 ? .read : .write, steps: .transfer, segmentCount: count,
                isIndirect: true)
            #expect(Self.validator().check(request) == verdict ?? .accept(plan))
            #expect(
                Self.validator(indirect: 0).check(request) == .refuse(.unsupported))
        }
    }

    @Test(
        "A segment is a run of sectors inside a page",
        arguments: [
            (0, 0, 1), (0, 7, 8), (3, 3, 1), (7, 7, 1), (1, 0, nil), (0, 8, nil), (8, 8, nil),
            (255, 255, nil), (7, 255, nil),
        ] as [(UInt8, UInt8, UInt64?)])
    func segmentIsARunInsideAPage(first: UInt8, last: UInt8, count: UInt64?) {
        var sum: UInt64 = 5
        let segment = BlockSegment(1, UInt32(first) | UInt32(last) << 8)
        #expect(Self.validator().add(segment, to: &sum) == (count != nil))
        #expect(sum == 5 + (count ?? 0))
    }

    @Test("BLK-21: what crosses the end of the disk, or begins in mid-sector, is refused whole")
    func rangesAreChecked() {
        let validator = Self.validator()
        #expect(validator.isOnDisk(sector: 992, count: 8))
        #expect(!validator.isOnDisk(sector: 993, count: 8))
        #expect(!validator.isOnDisk(sector: 1000, count: 1))
        #expect(!validator.isOnDisk(sector: UInt64.max - 3, count: 8))
        let large = Self.validator { $0.logicalSectorByteCount = 4096 }
        #expect(large.isOnDisk(sector: 8, count: 16))
        #expect(!large.isOnDisk(sector: 1, count: 8))
        #expect(!large.isOnDisk(sector: 8, count: 7))
    }

    @Test(
        "BLK-14: any bytes in a slot and in pages of segments are read and checked",
        arguments: 0..<32)
    func anyBytesAreChecked(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let count = Int.random(in: 0...400, using: &random)
            var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if count > 3 { bytes[1] %= 8 }
            if count > 3, Bool.random(using: &random) {
                // Few segments inside their pages, near the begin of the disk.
                bytes[2] %= 12
                bytes[3] = bytes[1] == 6 ? 20 : 0
                for index in bytes.indices.dropFirst(4) where index % 4 != 0 { bytes[index] %= 8 }
            }
            RequestFuzzing.check(bytes)
        }
    }
}
