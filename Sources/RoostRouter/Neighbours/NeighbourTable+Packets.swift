internal import RoostMemory

/// Packets to neighbours, and those that wait.
extension NeighbourTable {
    /// Sends a packet to a neighbour, or keeps it until there is an answer.
    ///
    /// - Parameters:
    ///   - frame: The packet as a frame whose Ethernet header is still to be written.
    ///   - key: Whom it is for.
    ///   - context: The caller's own, given back with the packet.
    ///   - now: In milliseconds.
    ///   - sink: Where it goes what follows.
    /// - Returns: What became of the packet. The sink has been told, or will be if it waits.
    mutating func send(
        _ frame: RawSpan, to key: NeighbourKey, context: UInt64, now: UInt64,
        _ sink: inout some NeighbourSink & ~Copyable
    ) -> NeighbourSendOutcome {
        let place: NeighbourHandle
        switch findForPacket(key, &sink) {
        case .success(let found): place = found
        case .failure(let refusal):
            sink.dropped(context, reason: refusal.reason)
            return .dropped(refusal.reason)
        }
        // Behind those that wait already, and before the question: an answer finds it.
        let actions = handle(.packet, place, now: now, &sink)
        if actions.contains(.send) {
            sink.transmit(
                frame, context: context, to: key, link: records[Int(place.rawValue)].state.link)
            return .sent
        }
        if actions.contains(.fail) {
            sink.unreachable(frame, context: context, to: key)
            return .unreachable
        }
        return enqueue(frame, context: context, place, &sink)
    }

    private mutating func findForPacket(
        _ key: NeighbourKey, _ sink: inout some NeighbourSink & ~Copyable
    ) -> Result<NeighbourHandle, Refusal> {
        let found = view.find(key)
        return found.isNone ? make(key, asUnresolved: true, &sink) : .success(found)
    }

    private mutating func enqueue(
        _ frame: RawSpan, context: UInt64, _ handle: NeighbourHandle,
        _ sink: inout some NeighbourSink & ~Copyable
    ) -> NeighbourSendOutcome {
        let place = Int(handle.rawValue)
        let account = Int(records[place].namespace.rawValue)
        var refusal: NeighbourDrop?
        if frame.byteCount > limits.frameByteCount {
            refusal = .tooLong
        } else if Int(records[place].queueCount) >= limits.framesPerNeighbour {
            // The newest packets are the ones whose senders still wait.
            let oldest = popQueue(place)
            sink.dropped(frames.context(of: oldest), reason: .queueFull)
            frames.release(oldest)
        } else if namespaces[account].frames >= namespaces[account].quota.frames {
            refusal = .frameLimit
        }
        guard refusal == nil, let slot = frames.keep(frame, context: context) else {
            let reason = refusal ?? .frameLimit
            namespaces[account].refusedFrames &+= 1
            sink.dropped(context, reason: reason)
            return .dropped(reason)
        }
        if records[place].queueCount == 0 {
            records[place].queueFirst = slot
        } else {
            frames.chain(slot, after: records[place].queueLast)
        }
        records[place].queueLast = slot
        records[place].queueCount += 1
        namespaces[account].frames += 1
        return .queued
    }

    /// Takes the first packet that waits off a queue; it is the caller's to release.
    private mutating func popQueue(_ place: Int) -> UInt32 {
        let slot = records[place].queueFirst
        records[place].queueFirst = frames.next(after: slot)
        records[place].queueCount -= 1
        namespaces[Int(records[place].namespace.rawValue)].frames -= 1
        return slot
    }

    /// Sends what waits for a neighbour.
    mutating func flush(
        _ handle: NeighbourHandle, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let place = Int(handle.rawValue)
        let key = records[place].key
        let link = records[place].state.link
        while records[place].queueCount > 0 {
            let slot = popQueue(place)
            frames.with(slot) { frame, context in
                sink.transmit(frame, context: context, to: key, link: link)
            }
            frames.release(slot)
        }
    }

    /// Reports what waits for a neighbour as undeliverable.
    mutating func failQueue(
        _ handle: NeighbourHandle, _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let place = Int(handle.rawValue)
        let key = records[place].key
        while records[place].queueCount > 0 {
            let slot = popQueue(place)
            frames.with(slot) { frame, context in
                sink.unreachable(frame, context: context, to: key)
            }
            frames.release(slot)
        }
    }

    /// Drops what waits for a neighbour.
    mutating func dropQueue(
        _ handle: NeighbourHandle, _ reason: NeighbourDrop,
        _ sink: inout some NeighbourSink & ~Copyable
    ) {
        let place = Int(handle.rawValue)
        while records[place].queueCount > 0 {
            let slot = popQueue(place)
            sink.dropped(frames.context(of: slot), reason: reason)
            frames.release(slot)
        }
    }
}
