internal import RoostMemory
internal import RoostSystem

/// Whether this machine has room for the memory of a guest that moves through it.
struct MemoryAdmission: Sendable {
    /// The most memory, in bytes, that a stream may announce.
    let maximumRAMByteCount: UInt64
    /// The most that may be held; `nil` for what this machine has available.
    let memoryLimit: UInt64?

    /// Makes memory for the blocks that a stream lists.
    ///
    /// Pages of zeros take none; what is counted is what the guest can come to fill.
    ///
    /// - Throws: `MigrationError` of kind `limit` when there is less, or as `GuestMemory`.
    func memory(for list: [RAMBlockDescription]) throws(MigrationError) -> GuestMemory {
        let wanted = list.reduce(UInt64(0)) { sum, block in
            sum.addingReportingOverflow(block.usedByteCount).partialValue
        }
        let limit = memoryLimit ?? Self.available()
        if let limit, wanted > limit {
            throw MigrationError(
                .limit,
                "the guest has \(sizeText(wanted)) of memory, which a relay holds while it moves, "
                    + "and here \(sizeText(limit)) "
                    + (memoryLimit == nil
                        ? "are available: free memory, or allow it by --memory-limit \(sizeText(wanted))"
                        : "are allowed: raise --memory-limit"))
        }
        return try GuestMemory(accepting: list, maximumByteCount: maximumRAMByteCount)
    }

    /// What the kernel thinks can be had without swapping, in bytes (proc(5), `MemAvailable`).
    private static func available() -> UInt64? {
        guard let text = SmallFile.text(of: "/proc/meminfo") else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("MemAvailable:") {
            let words = line.split(separator: " ")
            return words.count > 1 ? UInt64(words[1]).map { $0 << 10 } : nil
        }
        return nil
    }
}
