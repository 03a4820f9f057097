/// One thing that ``MachineDoctor`` has to say about this machine.
public struct MachineFinding: Codable, Equatable, Sendable {
    /// How bad it is: a warning is a lack that something needs, a fault keeps every engine from
    /// working.
    public typealias Severity = DiskFinding.Severity

    /// What was looked at; the raw value is what scripts look for.
    public enum Rule: String, Codable, CaseIterable, Sendable {
        // The machine and its kernel.
        case kernel, processFiles, pageSize, processors, memory, memoryFiles, hugePages
        // What the engines ask of it.
        case asynchronousTracking, pagemapScan, synchronousTracking, ring, tap
        case networkAdministration, networkNamespaces, userNamespaces, controlGroups, hypervisor,
            xenDevices, kvm
        // What this process may use.
        case openFiles, lockedMemory, processCount, runDirectory, staleSockets
        // Other programs.
        case qemu, qemuImage, qemuNBD, nbdkit, nbdkitPlugin, nbdTools, xenTools, stampedGuest
    }

    /// How bad it is.
    public var severity: Severity
    /// What was looked at.
    public var rule: Rule
    /// What is so.
    public var state: String
    /// What needs it: the commands and options.
    public var neededFor: String
    /// How to have it, where it is lacking.
    public var remedy: String?

    /// Says something.
    public init(
        _ severity: Severity, _ rule: Rule, _ state: String, neededFor: String,
        remedy: String? = nil
    ) {
        self.severity = severity
        self.rule = rule
        self.state = state
        self.neededFor = neededFor
        self.remedy = remedy
    }

    /// What is so, what needs it and how to have it: one sentence.
    public var sentence: String {
        "\(state) (for \(neededFor))" + (remedy.map { ": \($0)" } ?? "")
    }
}
