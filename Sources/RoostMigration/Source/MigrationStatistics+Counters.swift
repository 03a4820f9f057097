internal import RoostMemory

// The rates of a period, as QEMU takes them: `migration_update_rates` of `migration/ram.c`.

extension MigrationStatistics.XBZRLECache {
    /// Takes over what an encoder counted, and the rates of a period that ended.
    ///
    /// - Parameters:
    ///   - now: What was counted so far.
    ///   - before: What had been counted when the period began.
    ///   - handledPages: Pages dealt with in the period, of any kind.
    mutating func update(
        _ now: DeltaEncoder.Counters, since before: DeltaEncoder.Counters, handledPages: UInt64
    ) {
        bytes = now.bytes
        pages = now.pages
        cacheMiss = now.misses
        overflow = now.overflows
        guard handledPages > 0 else { return }
        cacheMissRate = Double(now.misses &- before.misses) / Double(handledPages)
        let encoded = now.bytes &- before.bytes
        let raw = (now.pages &- before.pages) &* UInt64(pageByteCount)
        encodingRate = encoded > 0 ? Double(raw) / Double(encoded) : 0
    }
}

extension MigrationStatistics.Compression {
    /// Takes over what a compressor counted, and the rates of a period that ended.
    ///
    /// - Parameters:
    ///   - now: What was counted so far.
    ///   - before: What had been counted when the period began.
    ///   - handledPages: Pages dealt with in the period, of any kind.
    mutating func update(
        _ now: PageCompressor.Statistics, since before: PageCompressor.Statistics,
        handledPages: UInt64
    ) {
        pages = now.pages
        busy = now.busy
        compressedSize = now.compressedByteCount
        guard handledPages > 0 else { return }
        busyRate = Double(now.busy &- before.busy) / Double(handledPages)
        let compressed = now.compressedByteCount &- before.compressedByteCount
        guard compressed > 0 else { return }
        let raw = (now.pages &- before.pages) &* UInt64(pageByteCount)
        compressionRate = Double(raw) / Double(compressed)
    }
}
