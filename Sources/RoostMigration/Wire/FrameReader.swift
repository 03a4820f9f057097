internal import RoostMemory

/// Takes the frames of one direction of the wire from bytes in any pieces.
///
/// The other side may send anything: lengths are checked before room is made for them, and a
/// frame is handed on only when its checksum and its sequence are right.
struct FrameReader: ~Copyable, Sendable {
    /// What waits to become a frame.
    ///
    /// Fill it, then call ``next()`` until it answers `nil`.
    ///
    /// It has room for all that may be under way, so that what comes can always be read.
    var input = ByteQueue(capacity: 2 * (WireFormat.window + WireFormat.payloadLimit))

    /// Where on the wire the frame begins that was handed out last, or the one that comes next.
    private(set) var byteCount: UInt64 = 0

    /// How many bytes of the wire were taken, the frame that was handed out last among them.
    var takenByteCount: UInt64 { byteCount + UInt64(lent) }

    /// The sequence number of the frame that comes next.
    private(set) var sequence: UInt64 = 0

    /// Whether the other side has said HELLO.
    private(set) var isGreeted = false
    /// The length of the frame that was handed out last and is still in the input.
    private var lent = 0

    /// A frame: its kind and where its payload lies in the input.
    struct Frame {
        let kind: WireFormat.Kind
        let payload: Range<Int>
    }

    /// Looks for the next whole frame.
    ///
    /// - Returns: The frame, whose payload stays in the input until the next call; `nil` when
    ///   more bytes are needed.
    /// - Throws: `MigrationError` of kind `peer`: the bytes are no frame.
    mutating func next() throws(MigrationError) -> Frame? {
        input.removeFirst(lent)
        byteCount += UInt64(lent)
        lent = 0
        if !isGreeted, isTLS {
            throw MigrationError(
                .peer,
                "the other side speaks TLS, and this side was started without: give both "
                    + "--tls-certificate, --tls-key and --tls-authority, or both --insecure")
        }
        guard input.count >= WireFormat.headByteCount else { return nil }
        let word = input.bytes.loadBigEndian(at: 0, as: UInt32.self)
        let length = Int(input.bytes.loadBigEndian(at: 4, as: UInt32.self))
        guard let kind = WireFormat.Kind(rawValue: UInt8(word >> 24)),
            isGreeted ? kind != .hello : kind == .hello || kind == .failed
        else {
            throw fault(isGreeted ? "an unknown frame" : "what it says is not Roost's wire")
        }
        let said = input.bytes.loadBigEndian(at: 8, as: UInt64.self)
        // HELLO, and FAILED of another version, have zeros there.
        let check = WireFormat.check(
            kind.rawValue, length: UInt32(truncatingIfNeeded: length), sequence: said)
        guard word & 0xff_ffff == check || (!isGreeted && word & 0xff_ffff == 0) else {
            throw fault(
                isGreeted ? "a frame with a damaged head" : "what it says is not Roost's wire")
        }
        // Another version's HELLO may be longer; its beginning says which that is.
        guard kind.byteCounts.contains(length) || (kind == .hello && (10...4096).contains(length))
        else {
            throw fault("a frame (\(kind)) of \(length) bytes")
        }
        let whole = WireFormat.headByteCount + length
        guard input.count >= whole else { return nil }
        guard said == sequence else {
            throw fault("a frame out of sequence")
        }
        let checksum = input.bytes.loadBigEndian(at: 16, as: UInt32.self)
        input.replace(bigEndian: UInt32(0), at: 16)
        guard crc32(input.bytes.extracting(0..<whole)) == checksum else {
            throw fault("a frame with a wrong checksum")
        }
        if kind == .hello { try greet(length) }
        sequence += 1
        lent = whole
        return Frame(kind: kind, payload: WireFormat.headByteCount..<whole)
    }

    /// Whether the first bytes are a record of TLS: an alert or a handshake, of any version 3
    /// (RFC 8446, section 5.1).
    private var isTLS: Bool {
        guard input.count >= 2 else { return false }
        let word = input.bytes.loadBigEndian(at: 0, as: UInt16.self)
        return word == 0x1503 || word == 0x1603
    }

    /// Whether another frame lies behind the one handed out last.
    var hasWholeFrame: Bool {
        let rest = input.count - lent
        guard rest >= WireFormat.headByteCount else { return false }
        let length = Int(input.bytes.loadBigEndian(at: lent + 4, as: UInt32.self))
        return rest >= WireFormat.headByteCount + length
    }

    /// The payload's text, for a frame that is a sentence.
    ///
    /// It is shown on terminals, so characters that control one are replaced.
    func text(of frame: Frame) -> String {
        let text = String(input.bytes, from: frame.payload.lowerBound, count: frame.payload.count)
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator: "\u{fffd}"
                    default: scalar
                    }
                }))
    }

    private mutating func greet(_ length: Int) throws(MigrationError) {
        var cursor = SpanCursor(
            input.bytes.extracting(0..<WireFormat.headByteCount + length),
            at: WireFormat.headByteCount)
        guard cursor.readText(WireFormat.greeting.utf8.count) == WireFormat.greeting,
            let version = cursor.read(UInt16.self)
        else { throw fault("what it says is not Roost's wire") }
        guard version == WireFormat.version else {
            throw MigrationError(
                .peer,
                "the other side speaks version \(version) of Roost's wire, this side "
                    + "\(WireFormat.version): run the same roost on both")
        }
        isGreeted = true
    }

    private func fault(_ what: String) -> MigrationError {
        MigrationError(
            .peer,
            "the other side broke Roost's wire at byte \(byteCount): \(what); see that both ends "
                + "are roost migrate relay and roost migrate receive")
    }
}
