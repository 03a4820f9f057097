internal import RoostMemory

/// Produces the frames of one direction of the wire, without input or output.
struct FrameWriter: ~Copyable, Sendable {
    /// What was written and not yet taken away.
    var output = ByteQueue(capacity: capacity)

    /// What gathers at most; a side that is written to little needs less.
    private static let capacity = 8 << 20

    /// The sequence number of the next frame.
    private(set) var sequence: UInt64 = 0

    /// The open frame's kind, and where it begins in the output.
    private var open: (kind: WireFormat.Kind, start: Int)?

    /// Where the last record of an open frame of zero pages begins, and what follows it.
    private var run: (start: Int, block: Int, next: UInt64, count: UInt16)?

    /// Whether the output has room for one more frame of any length.
    var hasRoom: Bool {
        output.room >= WireFormat.payloadLimit + 2 * WireFormat.headByteCount
    }

    /// Ends the open frame: its length, sequence and checksum become known.
    mutating func close() {
        run = nil
        guard let (kind, start) = open.take() else { return }
        let byteCount = output.count - start
        let length = UInt32(byteCount - WireFormat.headByteCount)
        // HELLO stays as it was, that other versions can read it.
        if kind != .hello {
            let check = WireFormat.check(kind.rawValue, length: length, sequence: sequence)
            output.replace(bigEndian: UInt32(kind.rawValue) << 24 | check, at: start)
        }
        output.replace(bigEndian: length, at: start + 4)
        output.replace(bigEndian: sequence, at: start + 8)
        let checksum = crc32(output.bytes.extracting(start..<start + byteCount))
        output.replace(bigEndian: checksum, at: start + 16)
        sequence += 1
    }

    private mutating func begin(_ kind: WireFormat.Kind) {
        close()
        open = (kind, output.count)
        output.append(bigEndian: UInt32(kind.rawValue) << 24)
        output.append(bigEndian: UInt64(0))
        output.append(bigEndian: UInt64(0))
    }

    // MARK: Frames

    /// Writes a frame without a payload.
    mutating func frame(_ kind: WireFormat.Kind) {
        begin(kind)
        close()
    }

    /// Writes a frame of bytes, at most ``WireFormat/payloadLimit``.
    mutating func frame(_ kind: WireFormat.Kind, _ payload: RawSpan) {
        precondition(payload.byteCount <= WireFormat.payloadLimit)
        begin(kind)
        output.append(payload)
        close()
    }

    mutating func hello() {
        begin(.hello)
        output.append(utf8: WireFormat.greeting)
        output.append(bigEndian: WireFormat.version)
        close()
    }

    mutating func begin(streamVersion: UInt32) {
        begin(.begin)
        output.append(bigEndian: streamVersion)
        close()
    }

    mutating func section(_ header: SectionHeader) {
        begin(.section)
        output.append(bigEndian: header.kind.rawValue)
        output.append(bigEndian: header.id)
        output.append(bigEndian: header.instance)
        output.append(bigEndian: header.version)
        output.append(utf8: header.name)
        close()
    }

    mutating func blocks(_ list: [RAMBlockDescription]) {
        begin(.blocks)
        let tellsAddresses = list.contains { $0.guestAddress != nil }
        output.append(bigEndian: UInt8(tellsAddresses ? 1 : 0))
        output.append(bigEndian: UInt16(truncatingIfNeeded: list.count))
        for block in list {
            output.append(bigEndian: UInt8(truncatingIfNeeded: block.name.utf8.count))
            output.append(utf8: block.name)
            output.append(bigEndian: block.usedByteCount)
            output.append(bigEndian: block.backingPageByteCount ?? 0)
            output.append(bigEndian: block.guestAddress ?? 0)
        }
        close()
    }

    mutating func endOfSection(_ id: UInt32, hasFooter: Bool) {
        begin(.endOfSection)
        output.append(bigEndian: id)
        output.append(bigEndian: UInt8(hasFooter ? 1 : 0))
        close()
    }

    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
        begin(.command)
        output.append(bigEndian: command.rawValue)
        output.append(payload)
        close()
    }

    mutating func open(_ purpose: WireFormat.Purpose, _ session: MoveSession, _ token: MoveSession)
    {
        begin(.open)
        output.append(bigEndian: purpose.rawValue)
        output.append(session)
        output.append(token)
        close()
    }

    mutating func acknowledge(_ sequence: UInt64, byteCount: UInt64) {
        begin(.acknowledge)
        output.append(bigEndian: sequence)
        output.append(bigEndian: byteCount)
        close()
    }

    mutating func end(_ length: UInt64, _ digest: Digest128) {
        begin(.end)
        output.append(bigEndian: length)
        output.append(bigEndian: digest.high)
        output.append(bigEndian: digest.low)
        close()
    }

    /// Writes PREPARED or COMMIT.
    mutating func frame(_ kind: WireFormat.Kind, length: UInt64) {
        begin(kind)
        output.append(bigEndian: length)
        close()
    }

    mutating func failed(_ message: String) {
        begin(.failed)
        for byte in message.utf8.prefix(WireFormat.messageLimit) {
            output.append(bigEndian: byte)
        }
        close()
    }

    // MARK: Pages

    /// Writes a page; pages gather in one frame until something else is written.
    mutating func page(_ record: PageRecord, _ body: RawSpan) {
        switch record.kind {
        case .zero:
            let fill = body.loadBigEndian(at: 0, as: UInt8.self)
            if fill == 0 {
                zeroPage(record.block, record.offset)
            } else {
                beginPage(.fill, record.block, record.offset, count: UInt16(fill))
            }
        case .plain:
            beginPage(.plain, record.block, record.offset, count: UInt16(pageByteCount))
            output.append(body)
        case .delta:
            beginPage(
                .delta, record.block, record.offset,
                count: UInt16(truncatingIfNeeded: body.byteCount))
            output.append(body)
        case .compressed:
            beginPage(
                .compressed, record.block, record.offset,
                count: UInt16(truncatingIfNeeded: body.byteCount))
            output.append(body)
        }
    }

    private mutating func zeroPage(_ block: Int, _ offset: UInt64) {
        if let last = run, last.block == block, last.next == offset, last.count < .max {
            output.replace(bigEndian: last.count &+ 1, at: last.start &+ 10)
            run = (last.start, block, offset &+ UInt64(pageByteCount), last.count &+ 1)
            return
        }
        beginPage(.zeroRun, block, offset, count: 1)
        run = (
            output.count &- WireFormat.recordHeadByteCount, block,
            offset &+ UInt64(pageByteCount), 1
        )
    }

    private mutating func beginPage(
        _ code: WireFormat.PageCode, _ block: Int, _ offset: UInt64, count: UInt16
    ) {
        run = nil
        let isOpen: Bool =
            if let open {
                open.kind == .pages
                    && output.count &- open.start
                        < WireFormat.payloadLimit &- 2 &* pageByteCount
            } else {
                false
            }
        if !isOpen { begin(.pages) }
        output.append(bigEndian: offset | code.rawValue)
        output.append(bigEndian: UInt16(truncatingIfNeeded: block))
        output.append(bigEndian: count)
    }
}
