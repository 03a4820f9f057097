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
        var nothing = Nothing()
        do throws(MigrationError) {
            for _ in 0..<2 {
                let goesOn = try input.next { bytes throws(MigrationError) in
                    try reader.consume(bytes, into: &nothing)
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

    private struct Nothing: StreamHandler {}
}
