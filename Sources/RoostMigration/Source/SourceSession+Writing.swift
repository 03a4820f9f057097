internal import RoostMemory

/// The items of the stream around the pages, and the way out.
extension SourceSession {
    mutating func writeConfiguration() {
        // CONFIGURATION: be32 length, the machine type.
        var item = ByteQueue(capacity: 4 + StreamFormat.machineTypeLimit)
        item.append(bigEndian: UInt32(truncatingIfNeeded: parameters.machineType.utf8.count))
        item.append(utf8: parameters.machineType)
        engine.writer.configuration(item.bytes)
    }

    mutating func openReturnPath() {
        var payload = ByteQueue(capacity: 4)
        engine.writer.command(.openReturnPath, payload.bytes)
        payload.append(bigEndian: Self.firstPing)
        engine.writer.command(.ping, payload.bytes)
    }

    /// Lists the blocks, after which the search begins anew: a page that waits in a worker must not
    /// come behind a newer one.
    mutating func writeList() throws(MigrationError) {
        mustList = false
        try flushCompressor()
        let connection = parties.connection
        var flushed: UInt64 = 0
        try engine.writer.blocks(engine.list) { queue throws(MigrationError) in
            flushed += UInt64(queue.count)
            try connection.send(&queue)
        }
        count(flushed)
    }

    static func memoryHeader(_ kind: SectionHeader.Kind) -> SectionHeader {
        SectionHeader(
            kind: kind, id: memorySection, name: StreamFormat.ramSection, instance: 0,
            version: StreamFormat.ramVersion)
    }

    mutating func endSection() {
        engine.writer.endRecords()
        engine.writer.endSection(Self.memorySection, hasFooter: true)
    }

    /// Sends what the writer holds.
    mutating func flush() throws(MigrationError) {
        let byteCount = UInt64(engine.writer.output.count)
        guard byteCount > 0 else { return }
        try parties.connection.send(&engine.writer.output)
        count(byteCount)
    }

    mutating func count(_ byteCount: UInt64) {
        limiter.sent(byteCount)
        statistics.ram.transferred += byteCount
        if isPaused {
            statistics.ram.downtimeBytes += byteCount
        } else {
            statistics.ram.precopyBytes += byteCount
        }
    }
}
