internal import RoostSystem

extension StreamSender {
    /// Refuses what is no stream, as far as its first bytes tell, before anybody is connected to.
    ///
    /// Standard input and pipes, which can be read only once, are not looked at.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - maximumRAMByteCount: The most memory, in bytes, that the stream may announce.
    /// - Throws: `MigrationError`.
    package static func check(
        path: String, maximumRAMByteCount: UInt64
    ) throws(MigrationError) {
        let kind = FileFacts(at: path, followsLinks: true)?.kind
        guard path != "-", kind == nil || kind == .file || kind == .blockDevice else { return }
        var input = try StreamInput.open(path: path)
        var reader = StreamReader(maximumRAMByteCount: maximumRAMByteCount)
        var check = StoredStreamCheck()
        do throws(MigrationError) {
            for _ in 0..<2 {
                let goesOn = try input.next { bytes throws(MigrationError) in
                    try reader.consume(bytes, into: &check)
                }
                guard goesOn else {
                    // All of a short one.
                    _ = try reader.finish()
                    return
                }
            }
        } catch {
            throw error.about(input.name)
        }
    }
}

/// Refuses what no destination can start from; what else a stream holds is its reader's and QEMU's to
/// judge.
struct StoredStreamCheck: StreamHandler {
    private var capabilities: [String] = []
    private var memoryByteCount: UInt64 = 0
    private var records: UInt64 = 0

    /// Of no matter: the reader refuses versions that it does not know.
    mutating func streamBegan(version: UInt32) {}

    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {
        capabilities = configuration.capabilities
    }

    /// Of no matter: QEMU knows its devices.
    mutating func sectionBegan(_ section: SectionHeader) {}

    mutating func blocksListed(_ blocks: [RAMBlockDescription]) {
        memoryByteCount = blocks.reduce(0) { $0 + $1.usedByteCount }
    }

    /// Whether the destination has them QEMU sees for itself.
    mutating func blocksAdded(_ blocks: [RAMBlockDescription], from first: Int) {
        blocksListed(blocks)
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) { records &+= 1 }

    mutating func multifdFlushed() throws(MigrationError) { throw StreamLoader.multifdError }

    /// Of no matter: pages are not held here.
    mutating func recordsEnded() {}

    /// Of no matter: QEMU knows its devices.
    mutating func opaque(_ bytes: RawSpan) {}

    /// Of no matter, as its beginning.
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}

    /// Of no matter: it is QEMU's to obey.
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}

    mutating func tail(_ bytes: RawSpan) throws(MigrationError) {
        try AbsentPages.check(memory: memoryByteCount, records: records, stored: capabilities)
    }
}
