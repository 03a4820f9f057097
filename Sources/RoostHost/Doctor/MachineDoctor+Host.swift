internal import RoostSystem
internal import SystemPackage

extension MachineDoctor {
    // MARK: What runs this machine, and what it runs

    static func hypervisors(_ facts: MachineFacts) -> [MachineFinding] {
        [hypervisor(facts)] + xenDevices(facts) + [kvm(facts)]
    }

    private static func hypervisor(_ facts: MachineFacts) -> MachineFinding {
        let need = "roost disk, which shares memory by the hypervisor that roost hypervisor is"
        guard let type = facts.hypervisor.type else {
            return finding(.hypervisor, "this machine is no domain of Xen", for: need)
        }
        let version = facts.hypervisor.version.map { " \($0)" } ?? ""
        return finding(.hypervisor, "this machine is a domain of \(type)\(version)", for: need)
    }

    /// The devices of Xen, where there is one.
    private static func xenDevices(_ facts: MachineFacts) -> [MachineFinding] {
        guard facts.hypervisor.type == "xen" else { return [] }
        let need = "domains of Xen; roost disk serves those of its own hypervisor only"
        let paths = ["/dev/xen/evtchn", "/dev/xen/gntdev", "/dev/xen/gntalloc", "/dev/xen/xenbus"]
        let lacking = paths.compactMap { path -> String? in
            guard let trial = facts.hypervisor.devices[path] else { return "\(path) is missing" }
            return refusal(trial).map { "\(path) cannot be used: \($0)" }
        }
        return [
            finding(
                .xenDevices, "\(paths.joined(separator: ", ")) can be used", for: need,
                unless: lacking.isEmpty
                    ? nil
                    : (
                        lacking.joined(separator: ", "),
                        "as root: modprobe -a xen-evtchn xen-gntdev xen-gntalloc xen-privcmd"
                    ))
        ]
    }

    private static func kvm(_ facts: MachineFacts) -> MachineFinding {
        let need = "QEMU's -accel kvm; Roost needs none"
        switch facts.kvm {
        case nil: return finding(.kvm, "there is no /dev/kvm: QEMU emulates processors", for: need)
        case .works: return finding(.kvm, "/dev/kvm can be used", for: need)
        case .refused(let reason):
            return MachineFinding(
                .warning, .kvm, "/dev/kvm cannot be used: \(reason)", neededFor: need,
                remedy: "join its group (usermod -aG kvm), or run QEMU as root")
        }
    }

    // MARK: What this process may use

    static func limits(_ facts: MachineFacts) -> [MachineFinding] {
        [openFiles(facts), lockedMemory(facts), processCount(facts)]
    }

    /// Descriptors without which no engine starts, with those that the system itself needs.
    private static let fewestFiles: UInt64 = 64
    /// Descriptors for a few disks, ports and moves at once.
    private static let usualFiles: UInt64 = 1024

    private static func openFiles(_ facts: MachineFacts) -> MachineFinding {
        let limit = facts.openFiles
        let state = "\(said(limit.current)) files may be open, raised up to \(said(limit.maximum))"
        let most = limit.maximum ?? .max
        return finding(
            .openFiles, state, for: "sockets, rings, ports and guests' memory",
            unless: most >= usualFiles && (limit.current ?? .max) >= fewestFiles
                ? nil : ("only \(state)", "ulimit -n 1024, or more for many disks or ports"),
            as: min(limit.current ?? .max, most) < fewestFiles ? .fault : .warning)
    }

    private static func lockedMemory(_ facts: MachineFacts) -> MachineFinding {
        let limit = facts.lockedMemory.current
        let state = "\(limit.map(Quantity.bytes) ?? "any amount") of memory may be locked"
        return finding(
            .lockedMemory, state, for: "the rings of roost disk serve on Linux before 5.12",
            unless: (limit ?? .max) >= 64 << 10 ? nil : ("only \(state)", "ulimit -l 8192"))
    }

    private static func processCount(_ facts: MachineFacts) -> MachineFinding {
        let limit = facts.processes.current
        let state = "\(said(limit)) processes and threads may run for user \(facts.userID)"
        return finding(
            .processCount, state, for: "a thread for each queue, worker and end of a move",
            unless: (limit ?? .max) >= 256 ? nil : ("only \(state)", "ulimit -u 4096"))
    }

    private static func said(_ limit: UInt64?) -> String {
        limit.map { "\($0)" } ?? "any number of"
    }

    // MARK: The run directory

    static func runDirectory(_ facts: MachineFacts) -> [MachineFinding] {
        let path = facts.runDirectoryPath
        let need = "the sockets of roost disk, net and hypervisor"
        let elsewhere = "name a socket in a folder of your own in ROOST_SOCKET"
        func lack(_ state: String, _ remedy: String) -> MachineFinding {
            MachineFinding(.warning, .runDirectory, state, neededFor: need, remedy: remedy)
        }
        let folder: MachineFinding
        switch facts.runDirectory {
        case .present(let isWritable, let owner):
            if !isWritable {
                folder = lack("\(path) may not be written by user \(facts.userID)", elsewhere)
            } else if owner != 0, owner != facts.userID {
                folder = lack(
                    "\(path) belongs to user \(owner), who could replace sockets in it", elsewhere)
            } else {
                folder = finding(.runDirectory, "\(path) can be written", for: need)
            }
        case .missing(canBeMade: true):
            folder = finding(
                .runDirectory, "\(path) is missing, and is made when it is needed", for: need)
        case .missing(canBeMade: false):
            folder = lack("\(path) is missing and cannot be made", "make it, or \(elsewhere)")
        case .obstructed:
            folder = lack("\(path) is no folder", "move it away, or \(elsewhere)")
        case .unknown(let reason):
            folder = lack("the folder of sockets is not known", reason)
        }
        guard !facts.staleSockets.isEmpty else { return [folder] }
        let names = facts.staleSockets.prefix(20).joined(separator: ", ")
        return [
            folder,
            MachineFinding(
                .warning, .staleSockets, "nobody listens on \(names) in \(path)",
                neededFor: "commands that look there",
                remedy: "start what served there again, which takes its place, or remove it"),
        ]
    }

    // MARK: Other programs

    private struct Tool {
        let rule: MachineFinding.Rule
        let name: String
        let need: String
        let package: String
    }

    private static let tools = [
        Tool(
            rule: .qemu, name: "qemu-system-x86_64", need: "guests of roost migrate",
            package: "qemu-system-x86"),
        Tool(
            rule: .qemuImage, name: "qemu-img", need: "making and looking into images",
            package: "qemu-utils"),
        Tool(
            rule: .qemuNBD, name: "qemu-nbd", need: "images that are not raw, as roost disk says",
            package: "qemu-utils"),
        Tool(
            rule: .nbdkit, name: "nbdkit", need: "roost disk connect --nbdkit", package: "nbdkit"),
        Tool(
            rule: .nbdTools, name: "nbdcopy", need: "clients of roost disk connect --nbdkit",
            package: "libnbd-bin"),
    ]

    static func programs(_ facts: MachineFacts) -> [MachineFinding] {
        var findings = tools.map { tool in
            program(tool.rule, tool.name, facts, need: tool.need, package: tool.package)
        }
        findings += xenTools(facts)
        findings.append(
            companion(
                .nbdkitPlugin, "the plugin of nbdkit", facts.plugin,
                need: "roost disk connect --nbdkit"))
        findings.append(
            companion(
                .stampedGuest, "the stamped guest", facts.stampedGuest, need: "roost migrate bench")
        )
        return findings
    }

    private static func program(
        _ rule: MachineFinding.Rule, _ name: String, _ facts: MachineFacts, need: String,
        package: String
    ) -> MachineFinding {
        switch facts.programs[name] ?? .missing {
        case .present(let version):
            finding(rule, "\(name) is \(version)", for: need)
        case .missing:
            MachineFinding(
                .warning, rule, "\(name) is not to be found along PATH", neededFor: need,
                remedy: "apt-get install \(package), or put its folder into PATH")
        case .broken(let reason, let errno):
            MachineFinding(
                .warning, rule, "\(name) does not run: \(reason)", neededFor: need,
                remedy: errno.flatMap(advice) ?? "apt-get install --reinstall \(package)")
        }
    }

    /// Xen's own tools, which are of use only where Xen is.
    private static func xenTools(_ facts: MachineFacts) -> [MachineFinding] {
        let present = ["xl", "xenstored", "xenstore-ls"].filter {
            if case .present = facts.programs[$0] { true } else { false }
        }
        let need = "looking into the store: XENSTORED_PATH names that of roost hypervisor"
        guard present.contains("xenstore-ls") || facts.hypervisor.type == "xen" else {
            return [finding(.xenTools, "no tools of Xen are along PATH", for: need)]
        }
        let lacking = facts.hypervisor.type == "xen" && !present.contains("xl")
        return [
            finding(
                .xenTools, "of Xen's tools there are \(present.joined(separator: ", "))", for: need,
                unless: lacking
                    ? ("xl is not to be found along PATH", "apt-get install xen-utils-common") : nil
            )
        ]
    }

    private static func companion(
        _ rule: MachineFinding.Rule, _ name: String, _ found: CompanionFile?, need: String
    ) -> MachineFinding {
        guard let found else {
            return MachineFinding(
                .warning, rule, "where \(name) belongs is not known", neededFor: need,
                remedy: "mount -t proc proc /proc")
        }
        return finding(
            rule, "\(name) is at \(found.path)", for: need,
            unless: found.isPresent
                ? nil : ("\(name) is not at \(found.path)", CompanionFile.remedy))
    }
}
