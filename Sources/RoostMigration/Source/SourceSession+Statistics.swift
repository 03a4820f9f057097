internal import RoostMemory

/// What the migration has done, as QEMU counts it.
extension SourceSession {
    /// Takes the rates of a period that ended.
    mutating func updateRates() {
        let handled = engine.counts.handled - handledAtStart
        handledAtStart = engine.counts.handled
        if let now = engine.deltas?.counters {
            statistics.xbzrleCache?.update(now, since: deltasAtStart, handledPages: handled)
            deltasAtStart = now
        }
        if let now = engine.compressor?.statistics {
            statistics.compression?.update(now, since: compressionAtStart, handledPages: handled)
            compressionAtStart = now
        }
    }

    /// Brings the statistics up to date.
    mutating func report() {
        statistics.totalTime = parties.now()
        statistics.ram.remaining = engine.remainingByteCount
        statistics.ram.duplicate = engine.counts.zero
        statistics.ram.normal = engine.counts.normal
        let seconds = statistics.totalTime.inSeconds
        statistics.ram.pagesPerSecond =
            seconds > 0 ? UInt64(Double(engine.counts.handled) / seconds) : 0
        if let counters = engine.deltas?.counters {
            statistics.ram.skipped = counters.skipped
            statistics.xbzrleCache?.bytes = counters.bytes
            statistics.xbzrleCache?.pages = counters.pages
            statistics.xbzrleCache?.cacheMiss = counters.misses
            statistics.xbzrleCache?.overflow = counters.overflows
        }
        if let size = engine.deltas?.cache.byteCount {
            statistics.xbzrleCache?.cacheSize = UInt64(size)
        }
        if let compression = engine.compressor?.statistics {
            statistics.compression?.pages = compression.pages
            statistics.compression?.busy = compression.busy
            statistics.compression?.compressedSize = compression.compressedByteCount
        }
    }
}
