import RoostHost
import SystemPackage
import Testing

/// What `roost doctor` says of machines that are made up.
@Suite struct MachineDoctorTests {
    /// Something that a machine lacks, and what is to be said about it.
    struct Lack: CustomTestStringConvertible, Sendable {
        let rule: MachineFinding.Rule
        let severity: MachineFinding.Severity
        /// Words that the sentence must have: what is so, and how to have it.
        let words: [String]
        let change: @Sendable (inout MachineFacts) -> Void

        init(
            _ rule: MachineFinding.Rule, as severity: MachineFinding.Severity = .warning,
            _ words: [String], _ change: @escaping @Sendable (inout MachineFacts) -> Void
        ) {
            self.rule = rule
            self.severity = severity
            self.words = words
            self.change = change
        }

        var testDescription: String { "\(rule): \(words.joined(separator: ", "))" }
    }

    /// A machine that lacks nothing.
    static let well: MachineFacts = {
        var facts = MachineFacts()
        facts.kernelRelease = "6.12.1"
        facts.processorCount = 4
        facts.memoryByteCount = 16 << 30
        facts.availableMemoryByteCount = 8 << 30
        facts.mayAdministrateNetwork = true
        facts.mayAdministrateSystem = true
        facts.userNamespaceLimit = 1000
        facts.openFiles = MachineFacts.Limit(current: 1024, maximum: 1 << 20)
        facts.lockedMemory = MachineFacts.Limit(current: 8 << 20, maximum: 8 << 20)
        facts.kvm = .works
        facts.runDirectory = .present(isWritable: true, userID: 0)
        for name in [
            "qemu-system-x86_64", "qemu-img", "qemu-nbd", "nbdkit", "nbdcopy", "xl", "xenstored",
            "xenstore-ls",
        ] {
            facts.programs[name] = .present("version 1.2")
        }
        facts.plugin = CompanionFile(path: "/bin/plugin.so", isPresent: true)
        facts.stampedGuest = CompanionFile(path: "/bin/stamped-guest", isPresent: true)
        return facts
    }()

    static let machine: [Lack] = [
        Lack(.pageSize, as: .fault, ["65536 bytes", "4 KiB"]) { $0.pageByteCount = 65536 },
        Lack(.memoryFiles, as: .fault, ["no memory file", "ulimit -n"]) {
            $0.memoryFile = .refused(.tooManyOpenFiles)
        },
        Lack(.processFiles, ["/proc is not mounted", "mount -t proc"]) {
            $0.hasProcessFiles = false
        },
        Lack(.processors, ["one processor", "add processors"]) { $0.processorCount = 1 },
        Lack(.memory, ["only 100 MiB of 16.0 GiB"]) { $0.availableMemoryByteCount = 100 << 20 },
    ]

    static let kernel: [Lack] = [
        Lack(.asynchronousTracking, ["Invalid argument", "Linux 6.7", "--tracker shadow"]) {
            $0.asynchronousProtection = .refused(.invalidArgument)
        },
        Lack(.asynchronousTracking, ["Operation not permitted", "vm.unprivileged_userfaultfd=1"]) {
            $0.asynchronousProtection = .refused(.notPermitted)
            $0.unprivilegedUserfaultfd = "0"
            $0.userID = 1000
        },
        Lack(.asynchronousTracking, ["Operation not permitted", "filter of system calls"]) {
            $0.asynchronousProtection = .refused(.notPermitted)
        },
        Lack(.pagemapScan, ["PAGEMAP_SCAN does not", "Linux 6.7"]) {
            $0.pagemapScan = .refused(.inappropriateIOCTLForDevice)
        },
        Lack(.pagemapScan, ["No such file", "mount -t proc"]) {
            $0.pagemapScan = .refused(.noSuchFileOrDirectory)
            $0.hasProcessFiles = false
        },
        Lack(.synchronousTracking, ["Function not implemented", "Linux 5.19", "USERFAULTFD"]) {
            $0.synchronousProtection = .refused(.noFunction)
        },
        Lack(.ring, ["Operation not permitted", "kernel.io_uring_disabled=0, which is 2"]) {
            $0.ring = .refused(.notPermitted)
            $0.ringDisabled = "2"
        },
        Lack(.ring, ["kernel.io_uring_disabled=0, which is 1"]) {
            $0.ring = .refused(.notPermitted)
            $0.ringDisabled = "1"
            $0.userID = 1000
        },
        // Root is not meant by 1.
        Lack(.ring, ["seccomp profile"]) {
            $0.ring = .refused(.notPermitted)
            $0.ringDisabled = "1"
            $0.isFiltered = true
        },
        Lack(.ring, ["security module"]) { $0.ring = .refused(.permissionDenied) },
        Lack(.ring, ["Linux 5.6", "CONFIG_IO_URING"]) { $0.ring = .refused(.noFunction) },
        Lack(.ring, ["ulimit -l"]) { $0.ring = .refused(.noMemory) },
        Lack(.ring, ["ulimit -n"]) { $0.ring = .refused(.tooManyOpenFiles) },
        Lack(.controlGroups, ["version 2: not there", "version 1: nor here", "mount -t cgroup2"]) {
            $0.secondControlGroupObstacle = "not there"
            $0.firstControlGroupObstacle = "nor here"
        },
        Lack(.controlGroups, ["no hierarchy", "mount -t proc"]) {
            $0.secondControlGroupObstacle = "no hierarchy"
            $0.firstControlGroupObstacle = "no hierarchy"
            $0.hasProcessFiles = false
        },
        Lack(.controlGroups, ["run as root", "Delegate=yes", "stop-cycle"]) {
            $0.secondControlGroupObstacle = "not there"
            $0.firstControlGroupObstacle = "nor here"
            $0.userID = 1000
        },
    ]

    static let network: [Lack] = [
        Lack(.tap, ["No such file", "mknod /dev/net/tun c 10 200"]) {
            $0.tap = .refused(.noSuchFileOrDirectory)
        },
        Lack(.tap, ["No such device", "modprobe tun"]) {
            $0.tap = .refused(.operationNotSupportedByDevice)
        },
        Lack(.tap, ["Permission denied", "run as root"]) { $0.tap = .refused(.permissionDenied) },
        Lack(.networkAdministration, ["lacks CAP_NET_ADMIN", "--cap-add NET_ADMIN"]) {
            $0.mayAdministrateNetwork = false
        },
        Lack(.networkNamespaces, ["CAP_SYS_ADMIN", "run as root"]) {
            $0.mayAdministrateSystem = false
        },
        Lack(.networkNamespaces, ["not to be seen", "CONFIG_NET_NS"]) {
            $0.hasNetworkNamespaces = false
        },
        Lack(.userNamespaces, ["no user may", "user.max_user_namespaces"]) {
            $0.userNamespaceLimit = 0
            $0.userID = 1000
            $0.runDirectory = .present(isWritable: true, userID: 1000)
        },
    ]

    static let host: [Lack] = [
        Lack(.xenDevices, ["/dev/xen/gntdev is missing", "Permission denied", "modprobe"]) {
            $0.hypervisor.type = "xen"
            $0.hypervisor.devices = [
                "/dev/xen/evtchn": .refused(.permissionDenied), "/dev/xen/gntalloc": .works,
                "/dev/xen/xenbus": .works,
            ]
        },
        Lack(.kvm, ["/dev/kvm", "Permission denied", "usermod"]) {
            $0.kvm = .refused(.permissionDenied)
        },
        Lack(.openFiles, as: .fault, ["only 10 files", "ulimit -n"]) {
            $0.openFiles = MachineFacts.Limit(current: 10, maximum: 10)
        },
        Lack(.openFiles, ["only 256 files", "ulimit -n"]) {
            $0.openFiles = MachineFacts.Limit(current: 256, maximum: 256)
        },
        Lack(.lockedMemory, ["only 4.00 KiB", "ulimit -l"]) { $0.lockedMemory.current = 4096 },
        Lack(.processCount, ["only 20 processes", "ulimit -u"]) { $0.processes.current = 20 },
        Lack(.runDirectory, ["may not be written by user 1000", "ROOST_SOCKET"]) {
            $0.userID = 1000
            $0.runDirectory = .present(isWritable: false, userID: 0)
        },
        Lack(.runDirectory, ["belongs to user 7", "ROOST_SOCKET"]) {
            $0.runDirectory = .present(isWritable: true, userID: 7)
        },
        Lack(.runDirectory, ["cannot be made", "ROOST_SOCKET"]) {
            $0.runDirectory = .missing(canBeMade: false)
        },
        Lack(.runDirectory, ["no folder", "ROOST_SOCKET"]) { $0.runDirectory = .obstructed },
        Lack(.runDirectory, ["not known", "set it"]) { $0.runDirectory = .unknown("set it") },
        Lack(.staleSockets, ["nobody listens on a.sock, b.sock in /run/roost", "remove it"]) {
            $0.staleSockets = ["a.sock", "b.sock"]
        },
        Lack(.qemu, ["qemu-system-x86_64 is not to be found", "apt-get install"]) {
            $0.programs["qemu-system-x86_64"] = .missing
        },
        Lack(.qemuImage, ["qemu-img does not run: no such", "--reinstall qemu-utils"]) {
            $0.programs["qemu-img"] = .broken("no such library")
        },
        Lack(.nbdkit, ["nbdkit does not run: Too many open files", "ulimit -n"]) {
            $0.programs["nbdkit"] = .broken("Too many open files", .tooManyOpenFiles)
        },
        Lack(.qemuNBD, ["qemu-nbd", "apt-get install qemu-utils"]) {
            $0.programs["qemu-nbd"] = nil
        },
        Lack(.nbdkit, ["nbdkit", "apt-get install nbdkit"]) { $0.programs["nbdkit"] = .missing },
        Lack(.nbdTools, ["nbdcopy", "libnbd-bin"]) { $0.programs["nbdcopy"] = .missing },
        Lack(.xenTools, ["xl is not to be found", "xen-utils-common"]) {
            $0.hypervisor.type = "xen"
            $0.programs["xl"] = .missing
        },
        Lack(.nbdkitPlugin, ["not at /bin/plugin.so", "make build"]) {
            $0.plugin?.isPresent = false
        },
        Lack(.stampedGuest, ["not at /bin/stamped-guest", "make build"]) {
            $0.stampedGuest?.isPresent = false
        },
        Lack(.stampedGuest, ["not known", "mount -t proc"]) { $0.stampedGuest = nil },
    ]

    @Test(arguments: machine + kernel + network + host)
    func `what is lacking is said, with what needs it and how to have it`(lack: Lack) throws {
        var facts = Self.well
        lack.change(&facts)
        let findings = MachineDoctor.findings(facts)
        let finding = try #require(findings.first { $0.rule == lack.rule })
        #expect(finding.severity == lack.severity)
        for word in lack.words { #expect(finding.sentence.contains(word), "\(finding.sentence)") }
        #expect(!finding.neededFor.isEmpty)
        #expect(finding.remedy != nil)
    }

    @Test func `a machine that lacks nothing gives only notes`() {
        let findings = MachineDoctor.findings(Self.well)
        for finding in findings {
            #expect(finding.severity == .note, "\(finding.sentence)")
            #expect(finding.remedy == nil, "\(finding.sentence)")
        }
        // Those that are said only where there is something to be said.
        let rare: Set<MachineFinding.Rule> = [.xenDevices, .staleSockets]
        #expect(
            findings.map(\.rule.rawValue).sorted()
                == MachineFinding.Rule.allCases.filter { !rare.contains($0) }.map(\.rawValue)
                .sorted())
    }

    @Test func `findings stand worst first`() {
        var facts = Self.well
        facts.pageByteCount = 16384
        facts.programs = [:]
        let severities = MachineDoctor.findings(facts).map(\.severity)
        #expect(severities == severities.sorted(by: >))
        #expect(severities.first == .fault && severities.last == .note)
    }

    @Test(arguments: [
        (MachineFinding.Rule.memory, "not known"), (.networkAdministration, "not known"),
        (.userNamespaces, "not known"), (.kernel, "unknown release"),
        (.kvm, "there is no /dev/kvm"),
        (.hypervisor, "no domain of Xen"), (.hugePages, "no huge pages"),
    ])
    func `what the kernel does not tell is no lack`(
        rule: MachineFinding.Rule, words: String
    ) throws {
        let finding = try #require(
            MachineDoctor.findings(MachineFacts()).first { $0.rule == rule })
        #expect(finding.severity == .note)
        #expect(finding.state.contains(words), "\(finding.state)")
    }

    /// What is well in more than one way.
    @Test(arguments: [
        Lack(.controlGroups, as: .note, ["version 1", "--throttle cgroup-v1"]) {
            $0.secondControlGroupObstacle = "not there"
        },
        Lack(.hugePages, as: .note, ["3 of 8 huge pages of 2.00 MiB are free"]) {
            $0.hugePages = MachineFacts.HugePages(total: 8, free: 3, byteCount: 2 << 20)
        },
        Lack(.hypervisor, as: .note, ["a domain of xen 4.17"]) {
            $0.hypervisor.type = "xen"
            $0.hypervisor.version = "4.17"
        },
        Lack(.xenDevices, as: .note, ["/dev/xen/gntdev", "can be used"]) {
            $0.hypervisor.type = "xen"
            for name in ["evtchn", "gntdev", "gntalloc", "xenbus"] {
                $0.hypervisor.devices["/dev/xen/\(name)"] = .works
            }
        },
        Lack(.xenTools, as: .note, ["no tools of Xen"]) { $0.programs["xenstore-ls"] = nil },
        Lack(.runDirectory, as: .note, ["made when it is needed"]) {
            $0.runDirectory = .missing(canBeMade: true)
        },
        Lack(.openFiles, as: .note, ["any number of files"]) {
            $0.openFiles = MachineFacts.Limit(current: nil, maximum: nil)
        },
        Lack(.userNamespaces, as: .note, ["no user may"]) { $0.userNamespaceLimit = 0 },
    ])
    func `what is well is said as it is`(way: Lack) throws {
        var facts = Self.well
        way.change(&facts)
        let finding = try #require(
            MachineDoctor.findings(facts).first { $0.rule == way.rule })
        #expect(finding.severity == .note)
        for word in way.words { #expect(finding.sentence.contains(word), "\(finding.sentence)") }
    }

    /// The machine that runs the tests, whatever it can do.
    @Test func `a machine is looked at in any environment`() {
        for environment in [
            [:], ["PATH": ""], ["PATH": "/nowhere:/usr/bin", "ROOST_SOCKET": "/nowhere/socket"],
        ] {
            let facts = MachineProbe.facts(environment: environment)
            #expect(facts.processorCount > 0 && facts.pageByteCount > 0)
            #expect(facts.memoryByteCount ?? 1 >= facts.availableMemoryByteCount ?? 0)
            let findings = MachineDoctor.findings(facts)
            #expect(findings.count > 25)
            if environment["PATH"] != "/nowhere:/usr/bin" {
                #expect(findings.contains { $0.rule == .nbdkit && $0.severity == .warning })
            }
        }
    }
}
