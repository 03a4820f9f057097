/// One thing that ``DiskDoctor`` has to say about a disk.
public struct DiskFinding: Codable, Equatable, Sendable {
    /// How bad it is.
    public enum Severity: String, Codable, Comparable, Sendable {
        /// How things are.
        case note
        /// It works, but not as well as it could, or not for long.
        case warning
        /// It does not work.
        case fault

        private var rank: Int {
            switch self {
            case .note: 0
            case .warning: 1
            case .fault: 2
            }
        }

        /// Whether the left one is less bad.
        public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }
    }

    /// Which rule found it; the raw value is what scripts look for.
    public enum Rule: String, Codable, CaseIterable, Sendable {
        // The processes.
        case foreignFormat, encrypted
        case hypervisorAbsent, hypervisorFailed, notServed, processDead, processHung
        case processFailed, processAlone, noDevice
        // The nodes.
        case frontendMissing, backendMissing, pathMismatch, keyMissing, identityMismatch
        case nodeDenied, nodeFailed, domainDead, otherBackend
        // The handshake.
        case stateUnknown, backendIdle, frontendIdle, frontendWaits, backendWaits
        case protocolMissing, protocolUnknown, ringOrder, queueCount, ringReference, eventChannel
        case backendFailure, frontendStuck, closing, closed, removed, stateMismatch
        // What is slow or wrong once connected.
        case readOnly, requestErrors, grantsFull, grantsStuck, grantsMissed, persistenceUnused
        case frontendTransient, backendTransient, ringFull, storageSlow, backendSlow
        case unbatched, connected
    }

    /// How bad it is.
    public var severity: Severity
    /// Which rule found it.
    public var rule: Rule
    /// What is so, where, and what to do: one sentence.
    public var sentence: String

    /// Says something.
    public init(_ severity: Severity, _ rule: Rule, _ sentence: String) {
        self.severity = severity
        self.rule = rule
        self.sentence = sentence
    }
}
