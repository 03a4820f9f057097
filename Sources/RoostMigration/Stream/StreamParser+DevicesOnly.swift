internal import RoostMemory

/// Streams of devices without memory, such as are saved for Xen.
extension StreamParser {
    /// Keeps what was taken before any memory, from the first section on.
    mutating func keepEarly(_ bytes: RawSpan, at offset: UInt64) throws(MigrationError) {
        guard current?.isRAM != true else {
            early = DeviceTail()
            return
        }
        guard current != nil || early.hasBegun else { return }
        early.begin(at: offset, hasFooters: nil, sections: KnownSections())
        _ = try early.append(bytes)
        // Sections and a mark, with padding behind them for long: no memory follows.
        if early.hasEnded { takeEarly() }
    }

    private mutating func takeEarly() {
        swap(&deviceTail, &early)
        state = .tail
    }

    /// Whether a stream that has ended is one of devices without memory, whose last section cannot
    /// be told from its payload before the end is known.
    ///
    /// - Parameter rest: What was not taken of it.
    /// - Returns: Whether its sections and its end-of-file mark are there; they are the tail then.
    mutating func isDevicesOnly(rest: RawSpan) -> Bool {
        guard totalByteCount == nil, state == .opaque, early.hasBegun,
            (try? early.append(rest)) != nil, (try? early.walk()) != nil
        else { return false }
        takeEarly()
        return true
    }
}
