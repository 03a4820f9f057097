internal import RoostSystem

/// How two QEMUs are to move a guest.
///
/// Where a value is `nil`, QEMU's own setting stays.
package struct GuestMoveOptions: Equatable, Sendable {
    /// The most bytes per second that the source sends while the guest runs.
    package var maxBandwidth: UInt64?
    /// How long the guest may stand still at the switchover; QEMU takes at most 2000 seconds.
    package var downtimeLimit: Duration?
    /// Whether QEMU slows a guest down that writes faster than the stream carries.
    package var autoConverge: Bool
    /// The size in bytes of QEMU's XBZRLE cache, a power of two; `nil` turns XBZRLE off.
    package var xbzrleCacheSize: UInt64?
    /// How long the move may take before it is given up.
    package var timeout: Duration?
    /// Further capabilities to turn on at both ends, such as `compress`.
    package var capabilities: [String]
    /// How often progress is asked for; events come in between.
    package var pollInterval: Duration

    package init(
        maxBandwidth: UInt64? = nil, downtimeLimit: Duration? = nil, autoConverge: Bool = false,
        xbzrleCacheSize: UInt64? = nil, timeout: Duration? = nil, capabilities: [String] = [],
        pollInterval: Duration = .milliseconds(250)
    ) {
        self.maxBandwidth = maxBandwidth
        self.downtimeLimit = downtimeLimit
        self.autoConverge = autoConverge
        self.xbzrleCacheSize = xbzrleCacheSize
        self.timeout = timeout
        self.capabilities = capabilities
        self.pollInterval = pollInterval
    }

    /// Capabilities under which a move needs more than one stream and the commands given here.
    static let undrivenCapabilities: Set<String> = [
        "background-snapshot", "mapped-ram", "multifd", "pause-before-switchover",
        "postcopy-preempt", "postcopy-ram", "x-colo",
    ]

    /// The capabilities to set at both ends, on and off.
    var wantedCapabilities: [String: Bool] {
        var wanted = [
            // The source then completes only once the destination has loaded everything.
            "return-path": true,
            "events": true,
            "auto-converge": autoConverge,
            "xbzrle": xbzrleCacheSize != nil,
        ]
        for name in capabilities { wanted[name] = true }
        return wanted
    }

    /// The parameters to set at the source.
    var wantedParameters: [String: JSONValue] {
        var wanted: [String: JSONValue] = [:]
        wanted["max-bandwidth"] = maxBandwidth.map { JSONValue($0) }
        wanted["xbzrle-cache-size"] = xbzrleCacheSize.map { JSONValue($0) }
        wanted["downtime-limit"] = downtimeLimit.map { .integer($0.wholeMilliseconds) }
        return wanted
    }

    /// Why a move that was not complete in its time is given up: both rates, and what to change.
    func timedOut(_ progress: GuestMoveProgress) -> MigrationError {
        let situation = Verdict.Situation(
            round: progress.iteration, elapsed: progress.elapsed,
            // QEMU tells 0 until it has looked again.
            dirtyBytesPerSecond: progress.dirtyBytesPerSecond > 0
                ? progress.dirtyBytesPerSecond : nil,
            linkBytesPerSecond: progress.bytesPerSecond > 0
                ? Double(progress.bytesPerSecond) : nil,
            pending: progress.remainingByteCount, downtimeLimit: downtimeLimit,
            bandwidthLimit: maxBandwidth ?? 0, hasAutoConverge: autoConverge,
            throttlePercentage: Int(clamping: progress.throttlePercentage),
            maximumThrottlePercentage: 99)
        return MigrationError(
            .timeout,
            Verdict.sentence(situation, after: Quantity.time((timeout ?? .zero).inSeconds)))
    }

    /// Refuses what this driver cannot drive.
    func check() throws(MigrationError) {
        if let name = capabilities.first(where: Self.undrivenCapabilities.contains) {
            throw MigrationError(
                .unsupported,
                "cannot move a guest with the capability '\(name)': it needs more than the one "
                    + "stream; leave it out")
        }
    }
}

extension Duration {
    /// A whole number of milliseconds, rounded down and cut to what fits.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max : product &+ attoseconds / 1_000_000_000_000_000
    }
}
