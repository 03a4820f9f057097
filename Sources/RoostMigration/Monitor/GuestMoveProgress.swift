/// How far a move is, as the source's QEMU tells it (`query-migrate`).
package struct GuestMoveProgress: Equatable, Sendable {
    /// QEMU's status: `setup`, `active`, `device`, `completed` and others.
    package let status: String
    /// The time since the move began.
    package let elapsed: Duration
    /// Bytes of page records sent: less than the stream's length, which has framing and devices.
    package let transferredByteCount: UInt64
    /// Bytes of RAM still to be sent.
    package let remainingByteCount: UInt64
    /// Bytes of RAM the guest has.
    package let totalByteCount: UInt64
    /// How fast the guest changes its memory.
    package let dirtyPagesPerSecond: UInt64
    /// How fast the guest changes its memory, in bytes a second.
    package let dirtyBytesPerSecond: Double
    /// How fast the stream goes.
    package let bytesPerSecond: UInt64
    /// How long the guest would stand still if the rest were sent now.
    package let expectedDowntime: Duration?
    /// Which pass over memory this is (`dirty-sync-count`).
    package let iteration: UInt64
    /// How much the guest is slowed down, 0 to 99.
    package let throttlePercentage: UInt64
    /// The time until the rest is sent at the present rates; `nil` when the guest writes as fast as
    /// the stream carries, or nothing is known yet.
    package let timeLeft: Duration?

    /// Reads the reply to `query-migrate`, whose members are all optional.
    init(_ reply: JSONValue, pageByteCount defaultPageByteCount: UInt64 = 4096) {
        let ram = reply["ram"]
        func count(_ name: String) -> UInt64 { ram?[name]?.unsignedInteger ?? 0 }
        status = reply["status"]?.string ?? "none"
        elapsed = reply.milliseconds("total-time") ?? .zero
        transferredByteCount = count("transferred")
        remainingByteCount = count("remaining")
        totalByteCount = count("total")
        dirtyPagesPerSecond = count("dirty-pages-rate")
        // QEMU's megabit is 10⁶ bits.
        let rate = max(0, ram?["mbps"]?.double ?? 0) * 125_000
        bytesPerSecond = UInt64(exactly: rate.rounded()) ?? 0
        expectedDowntime = reply.milliseconds("expected-downtime")
        iteration = count("dirty-sync-count")
        throttlePercentage = reply["cpu-throttle-percentage"]?.unsignedInteger ?? 0
        let pageByteCount = ram?["page-size"]?.unsignedInteger ?? defaultPageByteCount
        dirtyBytesPerSecond = Double(dirtyPagesPerSecond) * Double(pageByteCount)
        let gain = Double(bytesPerSecond) - dirtyBytesPerSecond
        let seconds = Double(remainingByteCount) / gain
        // Beyond a year nothing is foretold, and a Duration from any Double could trap.
        timeLeft = gain > 0 && seconds < 31_536_000 ? .seconds(seconds) : nil
    }
}

/// How a move ended.
package struct GuestMoveReport: Equatable, Sendable {
    /// What XBZRLE did, as QEMU counts it.
    package struct XBZRLE: Equatable, Sendable {
        package let cacheByteCount: UInt64
        package let sentByteCount: UInt64
        package let pages: UInt64
        package let cacheMisses: UInt64
        package let overflows: UInt64
    }

    /// The time from the command to the end.
    package let totalTime: Duration
    /// How long the guest stood still, as the source's QEMU counts it.
    package let downtime: Duration
    /// The time before the first page.
    package let setupTime: Duration
    /// Bytes of page records sent.
    package let transferredByteCount: UInt64
    /// Bytes of RAM the guest has.
    package let totalByteCount: UInt64
    /// Pages sent as they are.
    package let normalPages: UInt64
    /// Pages sent as zero.
    package let duplicatePages: UInt64
    /// What XBZRLE did, where it was on.
    package let xbzrle: XBZRLE?
    /// Passes over memory (`dirty-sync-count`).
    package let iterations: UInt64
    /// The run state of the source afterwards: `postmigrate`.
    package let sourceStatus: String
    /// The run state of the destination afterwards: `running`, or `paused` where the guest did
    /// not run before or QEMU was started with `-S`.
    package let destinationStatus: String

    init(_ reply: JSONValue, sourceStatus: String, destinationStatus: String) {
        let ram = reply["ram"]
        func count(_ name: String) -> UInt64 { ram?[name]?.unsignedInteger ?? 0 }
        totalTime = reply.milliseconds("total-time") ?? .zero
        downtime = reply.milliseconds("downtime") ?? .zero
        setupTime = reply.milliseconds("setup-time") ?? .zero
        transferredByteCount = count("transferred")
        totalByteCount = count("total")
        normalPages = count("normal")
        duplicatePages = count("duplicate")
        iterations = count("dirty-sync-count")
        xbzrle = reply["xbzrle-cache"].map { cache in
            func count(_ name: String) -> UInt64 { cache[name]?.unsignedInteger ?? 0 }
            return XBZRLE(
                cacheByteCount: count("cache-size"), sentByteCount: count("bytes"),
                pages: count("pages"), cacheMisses: count("cache-miss"),
                overflows: count("overflow"))
        }
        self.sourceStatus = sourceStatus
        self.destinationStatus = destinationStatus
    }
}

extension JSONValue {
    /// A member that counts milliseconds.
    fileprivate func milliseconds(_ name: String) -> Duration? {
        self[name]?.signedInteger.map { .milliseconds($0) }
    }
}
