internal import RoostHypervisor

/// A slot of a ring as words of 4 bytes, copied into private memory.
typealias SlotWords = [28 of UInt32]

/// How a request lies in a slot, by words of 4 bytes. In both layouts every field longer than that
/// lies at a multiple of 4, and they differ in one word of padding (`blkif_request`,
/// `blkif_request_discard` and `blkif_request_indirect` of `io/blkif.h`):
///
///     x86_64 x86_32  read, write, barrier, flush    discard               indirect
///       0      0     code, segments, handle         code, flag, handle    code, inner, segments
///       1      -     padding                        padding               padding
///       2      1     identifier                     identifier            identifier
///       4      3     sector                         sector                sector
///       6      5     11 segments of two words       sectors               handle, padding
///       7      6                                                          8 grants
extension BlockRequest {
    /// The word at which the identifier begins; the sector and what follows lie behind it.
    private static func idWord(_ blockProtocol: BlockProtocol) -> Int {
        blockProtocol == .x86_64 ? 2 : 1
    }

    /// Reads a request from a private copy of its slot.
    ///
    /// Every pattern of bytes is a request.
    ///
    /// - Parameters:
    ///   - words: The copy; the last word is not looked at in the shorter layout.
    ///   - blockProtocol: How it is laid out.
    init(_ words: SlotWords, _ blockProtocol: BlockProtocol) {
        let idWord = Self.idWord(blockProtocol)
        let body = idWord &+ 4
        let head = words[0]
        code = UInt8(truncatingIfNeeded: head)
        id = UInt64(words[idWord]) | UInt64(words[idWord &+ 1]) << 32
        guard let operation else { return }
        sector = UInt64(words[idWord &+ 2]) | UInt64(words[idWord &+ 3]) << 32
        let second = UInt8(truncatingIfNeeded: head >> 8)
        let upper = UInt16(truncatingIfNeeded: head >> 16)
        switch operation {
        case .read, .write, .writeBarrier, .flush:
            handle = upper
            segmentCount = Int(second)
            for index in 0..<min(segmentCount, Self.directSegmentLimit) {
                segments[index] = BlockSegment(
                    words[body &+ 2 &* index], words[body &+ 2 &* index &+ 1])
            }
        case .discard:
            handle = upper
            isSecure = second & 1 != 0
            discardSectorCount = UInt64(words[body]) | UInt64(words[body &+ 1]) << 32
        case .indirect:
            innerCode = second
            segmentCount = Int(upper)
            handle = UInt16(truncatingIfNeeded: words[body])
            for index in 0..<Self.indirectPageLimit {
                indirectGrants[index] = words[body &+ 1 &+ index]
            }
        }
    }

    /// The request as it lies in a slot; what it does not use is zero.
    ///
    /// - Parameter blockProtocol: How it is to be laid out.
    /// - Returns: The slot's words; one too many in the shorter layout.
    /// - Precondition: The operation exists, and a direct request has at most 11 segments.
    func encoded(_ blockProtocol: BlockProtocol) -> SlotWords {
        var words = SlotWords(repeating: 0)
        let idWord = Self.idWord(blockProtocol)
        let body = idWord &+ 4
        words[0] = UInt32(code)
        words[idWord] = UInt32(truncatingIfNeeded: id)
        words[idWord &+ 1] = UInt32(truncatingIfNeeded: id >> 32)
        words[idWord &+ 2] = UInt32(truncatingIfNeeded: sector)
        words[idWord &+ 3] = UInt32(truncatingIfNeeded: sector >> 32)
        switch operation {
        case .read, .write, .writeBarrier, .flush:
            precondition(0...Self.directSegmentLimit ~= segmentCount)
            words[0] |= UInt32(segmentCount) << 8 | UInt32(handle) << 16
            for index in 0..<segmentCount {
                words[body &+ 2 &* index] = segments[index].grant
                words[body &+ 2 &* index &+ 1] = segments[index].sectorWord
            }
        case .discard:
            words[0] |= (isSecure ? 1 : 0) << 8 | UInt32(handle) << 16
            words[body] = UInt32(truncatingIfNeeded: discardSectorCount)
            words[body &+ 1] = UInt32(truncatingIfNeeded: discardSectorCount >> 32)
        case .indirect:
            precondition(0...Int(UInt16.max) ~= segmentCount)
            words[0] |= UInt32(innerCode) << 8 | UInt32(segmentCount) << 16
            words[body] = UInt32(handle)
            for index in 0..<Self.indirectPageLimit {
                words[body &+ 1 &+ index] = indirectGrants[index]
            }
        case nil:
            preconditionFailure("no such operation")
        }
        return words
    }
}
