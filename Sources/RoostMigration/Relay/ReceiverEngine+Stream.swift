internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// The stream on its way through: frames in, bytes out, and the mark held back.
extension ReceiverEngine {
    /// Whether bytes wait that may be handed on.
    var hasOutput: Bool { !outbound.isEmpty || !assembler.writer.output.isEmpty }

    /// Takes the frames that have come, as far as their bytes can be handed on.
    mutating func hearWire() {
        guard link.isPresent else { return }
        do throws(MigrationError) {
            while !link.isDeaf, try takeFrame() {}
        } catch {
            link.deafen()
            fail(error)
        }
        // What lies here and cannot be handed on yet was said in time.
        link.checkSilence(isReading: !link.reader.hasWholeFrame)
        guard let end = link.end else { return }
        if owner.stage == .loading {
            // A stream whose relay is gone is not whole, however long its destination stands still:
            // of what lies here only a reason is of use.
            hearReason()
        } else if link.reader.hasWholeFrame, !owner.isOver {
            return
        }
        lose(end)
    }

    /// Passes over what is left of a stream that was cut short, up to why it was.
    private mutating func hearReason() {
        waiting = nil
        while let frame = try? link.reader.next() {
            guard frame.kind == .failed else { continue }
            return explain(frame)
        }
    }

    /// Takes the next frame, if there is room for what it makes.
    ///
    /// - Returns: Whether one was taken.
    private mutating func takeFrame() throws(MigrationError) -> Bool {
        guard outbound.count < Self.outboundLimit else { return false }
        let next: FrameReader.Frame?
        if let waiting {
            next = waiting
        } else {
            next = try link.reader.next()
        }
        guard let frame = next else { return false }
        waiting = nil
        switch frame.kind {
        case .beat: break
        case .failed: explain(frame)
        case .commit:
            guard let length = link.number(in: frame) else { throw Self.unexpected(frame) }
            happen(.heard(.commit(length)))
        case .started:
            guard owner.stage == .started else { throw Self.unexpected(frame) }
            isHeard = true
        case .hello, .open, .ready, .acknowledge, .answer, .prepared, .unknown, .digests:
            throw Self.unexpected(frame)
        case .begin, .configuration, .section, .blocks, .pages, .opaque, .endOfRecords,
            .endOfSection, .command, .end:
            guard !owner.isOver, !owner.isHandingOn else { return true }
            guard try takeOfStream(frame) else {
                waiting = frame
                return false
            }
            latest = (link.reader.sequence - 1, link.reader.takenByteCount)
            if frame.kind == .end { try takeEnd() }
        }
        return true
    }

    /// Takes a frame of the stream.
    ///
    /// - Returns: `false` when what was made before it has to be handed on first.
    private mutating func takeOfStream(
        _ frame: FrameReader.Frame
    ) throws(MigrationError) -> Bool {
        // What this side makes itself needs no looking through, unless something is held before it.
        let isPlain = assembler.isMemory(frame.kind) && holder.heldByteCount == 0
        guard isPlain || assembler.writer.output.isEmpty else { return false }
        if frame.kind != .end { happen(.more) }
        let isWhole = try Self.take(frame, link, &assembler)
        if !isPlain { try lookThrough() }
        if let value = assembler.unansweredPing.take() {
            link.writer.frame(.answer, ReturnPath.message(ReturnPath.Message.pong, value).bytes)
        }
        return isWhole
    }

    private static func take(
        _ frame: FrameReader.Frame, _ link: borrowing WireLink,
        _ assembler: inout StreamAssembler
    ) throws(MigrationError) -> Bool {
        try assembler.take(
            frame.kind, link.reader.input.bytes.extracting(frame.payload),
            at: link.reader.byteCount)
    }

    /// Moves what the assembler made to what is handed on, but for what may be the mark.
    private mutating func lookThrough() throws(MigrationError) {
        try Self.lookThrough(&assembler.writer.output, &holder, &outbound)
    }

    private static func lookThrough(
        _ made: inout ByteQueue, _ holder: inout MarkHolder, _ outbound: inout ByteQueue
    ) throws(MigrationError) {
        try holder.take(made.bytes) { outbound.append($0) }
        made.removeAll()
    }

    // MARK: END

    /// The relay says that it has sent everything: the destination is asked whether it has loaded all
    /// before the mark.
    private mutating func takeEnd() throws(MigrationError) {
        if let sink {
            sink.sync(after: streamByteCount + UInt64(outbound.count))
            isLoaded = false
        } else if ping == nil {
            let value = UInt32.random(in: 0x1000...(.max))
            ping = value
            // Between two items, where the mark would stand.
            if !assembler.opensReturnPath {
                outbound.append(bigEndian: StreamFormat.Item.command)
                outbound.append(bigEndian: StreamCommand.openReturnPath.rawValue)
                outbound.append(bigEndian: UInt16(0))
            }
            outbound.append(bigEndian: StreamFormat.Item.command)
            outbound.append(bigEndian: StreamCommand.ping.rawValue)
            outbound.append(bigEndian: UInt16(4))
            outbound.append(bigEndian: value)
        }
        checkLoaded()
    }

    /// Whether all that the relay has sent is loaded, and the same as what it has.
    mutating func checkLoaded() {
        guard isLoaded, !hasOutput, let claim = assembler.claim, differenceDeadline == nil else {
            return
        }
        guard claim.digest == assembler.root() else {
            differenceDeadline = .now + receiver.options.grace
            return tellDigests()
        }
        happen(.loaded(claim.length))
    }

    /// Tells the relay the digests, by which it finds what differs.
    private mutating func tellDigests() {
        var position = 0
        while link.writer.hasRoom,
            let piece = assembler.digestPiece(at: &position)
        {
            link.writer.frame(.digests, piece.bytes)
        }
    }

    /// Hands the mark on, and what is behind it.
    mutating func handOn() {
        markPosition = streamByteCount + UInt64(outbound.count)
        do throws(MigrationError) {
            try Self.release(&holder, &outbound)
        } catch {
            note(error)
        }
        sink?.commit(after: streamByteCount + UInt64(outbound.count))
    }

    private static func release(
        _ holder: inout MarkHolder, _ outbound: inout ByteQueue
    ) throws(MigrationError) {
        try holder.release { outbound.append($0) }
    }

    // MARK: Out

    /// Sends what there is to send, to both sides.
    mutating func say() {
        sendStream()
        acknowledge()
        link.beat()
        link.drain()
        // As long as a side reads on, the other one can send its last frame, and bytes that lie unread
        // do not reset the connection under it.
        if owner.isOver { link.endSending() }
    }

    private mutating func sendStream() {
        guard let destination, hasOutput else { return }
        do throws(Errno) {
            var sent = 1
            while sent > 0, !outbound.isEmpty {
                sent = try destination.sendNow(outbound.bytes)
                outbound.removeFirst(sent)
                streamByteCount += UInt64(sent)
            }
            while sent > 0, !assembler.writer.output.isEmpty {
                sent = try destination.sendNow(assembler.writer.output.bytes)
                assembler.writer.output.removeFirst(sent)
                streamByteCount += UInt64(sent)
            }
        } catch {
            closed(error)
        }
        if !hasOutput { checkLoaded() }
    }

    private mutating func acknowledge() {
        if let reached = mark, streamByteCount >= reached.streamByteCount {
            link.writer.acknowledge(reached.sequence, byteCount: reached.wireByteCount)
            acknowledged = reached.wireByteCount
            mark = nil
        }
        guard mark == nil, let latest, latest.wireByteCount > acknowledged else { return }
        let made = UInt64(outbound.count + assembler.writer.output.count)
        guard made > 0 else {
            link.writer.acknowledge(latest.sequence, byteCount: latest.wireByteCount)
            acknowledged = latest.wireByteCount
            return
        }
        mark = (streamByteCount + made, latest.sequence, latest.wireByteCount)
    }
}
