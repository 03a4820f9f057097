internal import RoostHypervisor
internal import RoostMemory

/// What libFuzzer and a seeded test give bytes to: a slot and segments as a frontend may write them.
@_spi(Fuzzing)
public enum RequestFuzzing {
    /// Reads and checks a request and its segments; traps if what is accepted is not allowed.
    ///
    /// - Parameter bytes: A byte of choices, a slot, and pages of segments; too few count as zeros.
    public static func check(_ bytes: [UInt8]) {
        func word(_ index: Int) -> UInt32 {
            var word: UInt32 = 0
            for part in 0..<4 where 1 + 4 * index + part < bytes.count {
                word |= UInt32(bytes[1 + 4 * index + part]) << (8 * UInt32(part))
            }
            return word
        }
        let choice = bytes.first ?? 0
        let blockProtocol: BlockProtocol = choice & 1 == 0 ? .x86_64 : .x86_32
        var slot = SlotWords(repeating: 0)
        for index in slot.indices { slot[index] = word(index) }
        let geometry = DiskGeometry(
            sectorCount: choice & 2 == 0 ? 1 << 21 : UInt64.max,
            logicalSectorByteCount: choice & 4 == 0 ? 512 : 4096, isReadOnly: choice & 8 != 0,
            canFlush: choice & 16 == 0, canDiscard: choice & 32 == 0)
        let validator = RequestValidator(
            geometry: geometry, indirectSegmentLimit: choice & 64 == 0 ? 4096 : 0)
        let request = BlockRequest(slot, blockProtocol)
        checkCoding(of: request, blockProtocol)
        guard case .accept(let plan) = validator.check(request) else { return }
        let isWriting = plan.operation != .read && plan.steps.contains(.transfer)
        precondition(!(geometry.isReadOnly && isWriting))
        precondition(0...(plan.isIndirect ? 4096 : 11) ~= plan.segmentCount)
        var sectorCount = plan.discardSectorCount
        for index in 0..<plan.segmentCount {
            let segment =
                plan.isIndirect
                ? BlockSegment(word(28 + 2 * index), word(29 + 2 * index))
                : request.segments[index]
            guard validator.add(segment, to: &sectorCount) else { return }
            precondition(segment.pageOffset + segment.byteCount <= pageByteCount)
        }
        guard plan.segmentCount > 0 || plan.operation == .discard else { return }
        let isOnDisk = validator.isOnDisk(sector: request.sector, count: sectorCount)
        precondition(isOnDisk || plan.operation != .discard)
        if isOnDisk {
            precondition(geometry.sectorCount - request.sector >= sectorCount)
            precondition(request.sector % UInt64(geometry.logicalSectorByteCount / 512) == 0)
        }
    }

    /// What can be written reads the same again.
    private static func checkCoding(of request: BlockRequest, _ blockProtocol: BlockProtocol) {
        guard let operation = request.operation,
            operation == .indirect || request.segmentCount <= BlockRequest.directSegmentLimit
        else { return }
        let again = BlockRequest(request.encoded(blockProtocol), blockProtocol)
        precondition(again.id == request.id && again.sector == request.sector)
        precondition(again.code == request.code && again.innerCode == request.innerCode)
        precondition(again.segmentCount == request.segmentCount)
        precondition(again.discardSectorCount == request.discardSectorCount)
        for index in request.segments.indices {
            precondition(again.segments[index] == request.segments[index])
        }
    }
}
