internal import RoostMemory

/// Runs bytes through the receiving half of a relay without a connection, for tests and fuzzing.
///
/// Whatever the bytes are, this returns or throws a `MigrationError`.
@_spi(Testing) public enum WireReplay {
    /// Takes bytes as they would come over the wire, from HELLO on.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - isStored: Whether as a receiver does that writes a file.
    ///   - maximumRAMByteCount: The most memory that may be announced.
    /// - Returns: The length in bytes of the stream that came out.
    /// - Throws: `MigrationError`: the bytes are refused.
    public static func take(
        wire bytes: RawSpan, isStored: Bool, maximumRAMByteCount: UInt64
    ) throws(MigrationError) -> UInt64 {
        var reader = FrameReader()
        var assembler = StreamAssembler(
            MemoryAdmission(maximumRAMByteCount: maximumRAMByteCount, memoryLimit: .max),
            isStored: isStored)
        var streamByteCount: UInt64 = 0
        var position = 0
        while position < bytes.byteCount {
            let end = min(position + reader.input.room, bytes.byteCount)
            reader.input.append(bytes.extracting(position..<end))
            position = end
            while let frame = try reader.next() {
                guard frame.kind != .hello, frame.kind != .open else { continue }
                while try !assembler.take(
                    frame.kind, reader.input.bytes.extracting(frame.payload), at: reader.byteCount)
                {
                    streamByteCount += UInt64(assembler.writer.output.count)
                    assembler.writer.output.removeAll()
                }
            }
        }
        return streamByteCount + UInt64(assembler.writer.output.count)
    }

    /// Takes payloads that are made into sound frames first, which no fuzzer guesses.
    ///
    ///     u8 kind │ be16 length │ payload, over and over
    ///
    /// - Parameters:
    ///   - bytes: The payloads; an end that is cut short is passed over.
    ///   - isStored: Whether as a receiver does that writes a file.
    ///   - maximumRAMByteCount: The most memory that may be announced.
    /// - Returns: The length in bytes of the stream that came out.
    /// - Throws: `MigrationError`: the frames are refused.
    public static func take(
        payloads bytes: RawSpan, isStored: Bool, maximumRAMByteCount: UInt64
    ) throws(MigrationError) -> UInt64 {
        var wire = ByteQueue(capacity: 64 + 24 * (bytes.byteCount + 1))
        var writer = FrameWriter()
        writer.hello()
        var cursor = SpanCursor(bytes)
        while let code = cursor.read(UInt8.self), let length = cursor.read(UInt16.self),
            let payload = cursor.skip(Int(length))
        {
            guard let kind = WireFormat.Kind(rawValue: code % 24) else { continue }
            writer.frame(kind, bytes.extracting(payload))
            wire.append(writer.output.bytes)
            writer.output.removeAll()
        }
        return try take(
            wire: wire.bytes, isStored: isStored, maximumRAMByteCount: maximumRAMByteCount)
    }
}
