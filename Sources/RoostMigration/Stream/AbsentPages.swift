/// Memory that a stream lists and brings no page of.
///
/// A source sends a record of every page at least once, of a zero page too. Where none came at all,
/// the pages travelled beside the stream, or the source is broken. With multifd they do, and before
/// QEMU 8.1 nothing in the stream says so. No guest may start from such a stream.
enum AbsentPages {
    /// Refuses a source's stream, at the latest when its memory is over.
    ///
    /// - Parameters:
    ///   - byteCount: The memory that the stream lists, in bytes.
    ///   - records: How many records of pages came.
    /// - Throws: `MigrationError` of kind `unsupported`.
    static func check(memory byteCount: UInt64, records: UInt64) throws(MigrationError) {
        guard byteCount > 0, records == 0 else { return }
        throw MigrationError(
            .unsupported,
            text(byteCount)
                + ": nothing may be started from it; turn multifd and x-ignore-shared off "
                + "at both QEMUs (migrate_set_capability multifd off), and move the guest again")
    }

    /// Refuses a stored stream, unless it says that its memory was left where it is.
    ///
    /// - Parameters:
    ///   - byteCount: The memory that the stream lists, in bytes.
    ///   - records: How many records of pages came.
    ///   - capabilities: What the stream says that both sides must have on.
    /// - Throws: `MigrationError` of kind `unsupported`.
    static func check(
        memory byteCount: UInt64, records: UInt64, stored capabilities: [String]
    ) throws(MigrationError) {
        guard byteCount > 0, records == 0, !capabilities.contains("x-ignore-shared") else { return }
        throw MigrationError(
            .unsupported, text(byteCount) + ": save the guest with the multifd capability off")
    }

    private static func text(_ byteCount: UInt64) -> String {
        "the stream lists \(sizeText(byteCount)) of memory and brings no page of it, so its pages "
            + "travelled on other connections (multifd), or the source is broken"
    }
}
