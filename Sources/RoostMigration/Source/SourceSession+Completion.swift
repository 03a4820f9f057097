internal import Logging
internal import RoostMemory

/// The switch-over and what follows it.
extension SourceSession {
    /// Stops the guest and sends all that is left.
    mutating func complete() throws(MigrationError) {
        try checkCancelled()
        // A guest whose control group lets it wait for its next share would be late to stop.
        if (statistics.throttlePercentage ?? 0) > 0 { try parties.throttle?.set(percentage: 0) }
        let paused = parties.now()
        try parties.guest.pause()
        isPaused = true
        statistics.status = .device
        report()
        try takeAddedBlocks()
        try sync()
        engine.isLastRound = true
        engine.writer.beginSection(Self.memoryHeader(.end))
        if mustList { try writeList() }
        let gate = parties.gate
        _ = try sendPages { _, _ throws(MigrationError) in
            if gate.isCancelled { throw MigrationSource.cancelled }
            return false
        }
        try flushCompressor()
        endSection()
        if parameters.sendsDigests { try writeDigests() }
        engine.writer.endStream()
        try writeDescription()
        // From here on the destination may start the guest.
        guard parties.gate.letLastByteThrough() else { throw MigrationSource.cancelled }
        parties.guest.leave()
        try flush()
        try awaitVerdict()
        let end = parties.now()
        statistics.downtime = end - paused
        statistics.status = .completed
        let seconds = (end - statistics.setupTime).inSeconds
        if seconds > 0 {
            statistics.ram.mbps = Double(statistics.ram.transferred) * 8 / seconds / 1e6
        }
        report()
    }

    mutating func writeDigests() throws(MigrationError) {
        var digests: [BlockDigest] = []
        let space = engine.memory.readable
        for block in engine.memory.blocks {
            // A tracker's copy has no file; its untouched pages read as zero and stay so.
            let file = parties.tracker.snapshot == nil ? block.file : nil
            digests.append(
                try BlockDigest(
                    of: block.block, at: block.pages.lowerBound * pageByteCount, in: space,
                    file: file))
        }
        let connection = parties.connection
        var flushed: UInt64 = 0
        digestByteCount = try BlockDigest.write(digests, to: &engine.writer) {
            queue throws(MigrationError) in
            flushed += UInt64(queue.count)
            try connection.send(&queue)
        }
        count(flushed)
    }

    /// Ends with a description of the devices, by which a reader knows that nothing follows.
    mutating func writeDescription() throws(MigrationError) {
        var devices = ""
        if let digestByteCount {
            devices =
                #"{"name":"\#(BlockDigest.sectionName)","instance_id":0,"size":\#(digestByteCount),"#
                + #""fields":[{"name":"data","size":\#(digestByteCount),"type":"buffer"}]}"#
        }
        let text = #"{"page_size":\#(pageByteCount),"devices":[\#(devices)]}"#
        engine.writer.output.append(bigEndian: StreamFormat.Item.description)
        engine.writer.output.append(bigEndian: UInt32(text.utf8.count))
        engine.writer.output.append(utf8: text)
    }

    mutating func awaitVerdict() throws(MigrationError) {
        guard parameters.opensReturnPath else {
            parties.connection.endSending()
            return
        }
        var answers = ByteQueue(capacity: 4096)
        var path = ReturnPath()
        while path.verdict == nil, try parties.connection.receive(into: &answers) {
            guard path.follow(answers.bytes) else {
                throw MigrationError(
                    .peer, "what the destination answers is no return path: is it a QEMU or Roost?")
            }
            answers.removeAll()
        }
        guard let verdict = path.verdict else {
            throw MigrationError(
                .peer,
                "the destination closed the connection without saying that it has loaded "
                    + "everything: see what it says, and that it did not start the guest")
        }
        guard verdict == 0 else {
            throw MigrationError(
                .peer,
                "the destination could not load the guest (it answered \(verdict)): see what it "
                    + "says, and move the guest again")
        }
        parties.connection.endSending()
    }

    /// Ends the tracking and lifts the throttle; the guest runs on here unless it has gone.
    mutating func end(hasMoved: Bool) {
        if isTracking { parties.tracker.stop() }
        isTracking = false
        if (statistics.throttlePercentage ?? 0) > 0 {
            do throws(MigrationError) {
                try parties.throttle?.set(percentage: 0)
            } catch {
                parties.logger.warning("the guest may still be slowed down: \(error.description)")
            }
            statistics.throttlePercentage = 0
        }
        if isPaused, !hasMoved { parties.guest.resume() }
        parties.connection.close()
        engine.compressor?.stop()
    }
}
