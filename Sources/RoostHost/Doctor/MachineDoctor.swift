internal import RoostSystem
internal import SystemPackage

/// Says in words what a machine can do, what it lacks, what needs that and how to have it.
///
/// It judges what was read and reads nothing itself, so every rule is tried in tests on machines
/// that are made up.
public enum MachineDoctor {
    /// Judges a machine.
    ///
    /// - Parameter facts: What could be learned about it.
    /// - Returns: What is to be said, worst first.
    public static func findings(_ facts: MachineFacts) -> [MachineFinding] {
        let findings =
            machine(facts) + tracking(facts) + [ring(facts), controlGroups(facts)]
            + network(facts) + hypervisors(facts) + limits(facts) + runDirectory(facts)
            + programs(facts)
        // Sorted by how bad they are; the order within stays.
        return [.fault, .warning, .note].flatMap { severity in
            findings.filter { $0.severity == severity }
        }
    }

    /// A finding that is well, or a lack.
    ///
    /// - Parameters:
    ///   - rule: What was looked at.
    ///   - state: What is so, where nothing is lacking.
    ///   - need: What needs it.
    ///   - lack: What is so and how to have it, where it is lacking.
    ///   - severity: How bad the lack is.
    /// - Returns: The finding.
    static func finding(
        _ rule: MachineFinding.Rule, _ state: String, for need: String,
        unless lack: (state: String, remedy: String?)? = nil,
        as severity: MachineFinding.Severity = .warning
    ) -> MachineFinding {
        guard let lack else { return MachineFinding(.note, rule, state, neededFor: need) }
        return MachineFinding(severity, rule, lack.state, neededFor: need, remedy: lack.remedy)
    }

    // MARK: The machine

    private static func machine(_ facts: MachineFacts) -> [MachineFinding] {
        let release = facts.kernelRelease.map { "Linux \($0)" }
        var findings = [
            finding(
                .pageSize, "pages have 4096 bytes", for: "every engine",
                unless: facts.pageByteCount == 4096
                    ? nil
                    : (
                        "pages have \(facts.pageByteCount) bytes, not 4096",
                        "run a kernel with pages of 4 KiB"
                    ), as: .fault),
            finding(
                .memoryFiles, "memory files can be made and mapped", for: "every engine",
                unless: refusal(facts.memoryFile).map {
                    ("no memory file can be made: \($0)", advice($0))
                }, as: .fault),
            finding(
                .processFiles, "/proc is mounted", for: "every command that moves or serves",
                unless: facts.hasProcessFiles
                    ? nil
                    : (
                        "/proc is not mounted, so that much below is not known",
                        "mount -t proc proc /proc"
                    )),
        ]
        findings.append(
            finding(
                .kernel, "the kernel is \(release ?? "of an unknown release")",
                for: "what each line below says"))
        findings.append(
            finding(
                .processors, "\(counted(UInt64(facts.processorCount), "processor")) online",
                for: "a thread for each queue of a disk, worker of a router and end of a move",
                unless: facts.processorCount > 1
                    ? nil : ("one processor is online, which all threads share", "add processors")))
        findings.append(memory(facts))
        findings.append(hugePages(facts))
        return findings
    }

    private static func memory(_ facts: MachineFacts) -> MachineFinding {
        let need = "guests, and for each relay of a move once more the guest's memory"
        guard let all = facts.memoryByteCount, let available = facts.availableMemoryByteCount else {
            return finding(.memory, "how much memory there is is not known", for: need)
        }
        let state = "\(Quantity.bytes(available)) of \(Quantity.bytes(all)) of memory are to be had"
        return finding(
            .memory, state, for: need,
            unless: available >= 256 << 20
                ? nil : ("only \(state)", "end what uses memory, or add some"))
    }

    private static func hugePages(_ facts: MachineFacts) -> MachineFinding {
        let need = "QEMU's memory on hugetlbfs; Roost's own guests have pages of 4 KiB"
        guard let pages = facts.hugePages, pages.total > 0 else {
            return finding(.hugePages, "no huge pages are set aside", for: need)
        }
        return finding(
            .hugePages,
            "\(pages.free) of \(pages.total) huge pages of \(Quantity.bytes(pages.byteCount)) are free",
            for: need)
    }

    // MARK: Words

    static func refusal(_ trial: MachineFacts.Trial) -> Errno? {
        switch trial {
        case .works: nil
        case .refused(let reason): reason
        }
    }

    /// What to do about a reason that is the same whatever was tried, or `nil`.
    static func advice(_ reason: Errno) -> String? {
        switch reason {
        case .tooManyOpenFiles: "raise the limit on open files (ulimit -n)"
        case .tooManyOpenFilesInSystem: "raise sysctl fs.file-max"
        case .noMemory: "free memory, or raise the limit on locked memory (ulimit -l)"
        default: nil
        }
    }

    static func counted(_ count: UInt64, _ thing: String) -> String {
        "\(count) \(thing)\(count == 1 ? "" : "s")"
    }
}
