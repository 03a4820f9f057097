internal import Glibc
internal import RoostBlock
internal import RoostHypervisor
internal import RoostMemory
internal import RoostMigration
internal import RoostRouter
internal import RoostSystem
internal import SystemPackage

/// Finds out what a machine can do by doing it, where that changes nothing.
public enum MachineProbe {
    /// How long another program may take to say its version.
    private static let versionLimit = Duration.seconds(3)

    /// Looks at this machine.
    ///
    /// It blocks for as long as other programs take to say their versions.
    ///
    /// - Parameter environment: This process's environment.
    /// - Returns: What could be learned; what could not stays unknown.
    public static func facts(environment: [String: String]) -> MachineFacts {
        var facts = MachineFacts()
        facts.hasProcessFiles = FileFacts(at: "/proc/self/status", followsLinks: true) != nil
        facts.kernelRelease = line("/proc/sys/kernel/osrelease")
        facts.userID = geteuid()
        facts.pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
        facts.processorCount = ThisProcess.processorCount
        readMemory(&facts)
        readLimits(&facts)
        readPrivileges(&facts)
        tryEngines(&facts)
        lookAround(&facts)
        lookForSockets(&facts, environment)
        lookForPrograms(&facts, environment)
        return facts
    }

    private static func line(_ path: String) -> String? {
        let text = SmallFile.text(of: path)?.prefix { $0 != "\n" }
        return text.flatMap { $0.isEmpty ? nil : String($0) }
    }

    /// The value behind a name and a colon in a file of the kernel's, such as /proc/meminfo.
    private static func value(_ name: String, in text: String?) -> Substring? {
        text?.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            .map { $0.dropFirst(name.count + 1).drop { $0.isWhitespace } }
    }

    // MARK: The machine

    private static func readMemory(_ facts: inout MachineFacts) {
        let text = SmallFile.text(of: "/proc/meminfo")
        func number(_ name: String) -> UInt64? {
            value(name, in: text).flatMap { UInt64($0.prefix { $0.isNumber }) }
        }
        facts.memoryByteCount = number("MemTotal").map { $0 << 10 }
        facts.availableMemoryByteCount = number("MemAvailable").map { $0 << 10 }
        if let total = number("HugePages_Total"), let free = number("HugePages_Free"),
            let kibibytes = number("Hugepagesize")
        {
            facts.hugePages = MachineFacts.HugePages(
                total: total, free: free, byteCount: kibibytes << 10)
        }
    }

    private static func readLimits(_ facts: inout MachineFacts) {
        func limit(_ resource: ResourceLimit.Resource) -> MachineFacts.Limit {
            let limit = ResourceLimit(of: resource)
            return MachineFacts.Limit(current: limit.current, maximum: limit.maximum)
        }
        facts.openFiles = limit(.openFiles)
        facts.lockedMemory = limit(.lockedMemory)
        facts.processes = limit(.processes)
    }

    private static func readPrivileges(_ facts: inout MachineFacts) {
        let status = SmallFile.text(of: "/proc/self/status")
        let capabilities = value("CapEff", in: status).flatMap { UInt64($0, radix: 16) }
        // Linux include/uapi/linux/capability.h: CAP_NET_ADMIN is 12, CAP_SYS_ADMIN 21.
        facts.mayAdministrateNetwork = capabilities.map { $0 >> 12 & 1 == 1 }
        facts.mayAdministrateSystem = capabilities.map { $0 >> 21 & 1 == 1 }
        facts.isFiltered = value("Seccomp", in: status) == "2"
        facts.unprivilegedUserfaultfd = line("/proc/sys/vm/unprivileged_userfaultfd")
        facts.ringDisabled = line("/proc/sys/kernel/io_uring_disabled")
        facts.hasNetworkNamespaces = FileFacts(at: "/proc/self/ns/net") != nil
        facts.userNamespaceLimit = line("/proc/sys/user/max_user_namespaces").flatMap { UInt64($0) }
        // Debian's own switch, where it is there.
        if line("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
            facts.userNamespaceLimit = 0
        }
    }

    // MARK: Trying

    private static func trial(_ reason: Errno?) -> MachineFacts.Trial {
        reason.map { .refused($0) } ?? .works
    }

    private static func tryEngines(_ facts: inout MachineFacts) {
        do throws(MemoryError) {
            let memory = try MappedRegion.memoryFile(name: "doctor", byteCount: pageByteCount)
            _ = consume memory
        } catch {
            facts.memoryFile = .refused(error.errno ?? .noMemory)
        }
        let asynchronous = TrackingTrial.asynchronous()
        facts.asynchronousProtection = trial(asynchronous.protection)
        facts.pagemapScan = trial(asynchronous.scan)
        facts.synchronousProtection = trial(TrackingTrial.synchronous())
        facts.ring = trial(RingTrial.run())
        facts.tap = trial(TAPTrial.run())
        facts.secondControlGroupObstacle = ThrottleKind.cgroupV2.obstacle()
        facts.firstControlGroupObstacle = ThrottleKind.cgroupV1.obstacle()
    }

    private static func lookAround(_ facts: inout MachineFacts) {
        facts.hypervisor.type = line("/sys/hypervisor/type")
        if let major = line("/sys/hypervisor/version/major"),
            let minor = line("/sys/hypervisor/version/minor")
        {
            facts.hypervisor.version = "\(major).\(minor)"
        }
        for name in ["evtchn", "gntdev", "gntalloc", "xenbus"] {
            facts.hypervisor.devices["/dev/xen/\(name)"] = use("/dev/xen/\(name)")
        }
        facts.kvm = use("/dev/kvm")
    }

    /// Opens a device and closes it, which none of them takes for more; `nil` where it is missing.
    private static func use(_ path: String) -> MachineFacts.Trial? {
        guard FileFacts(at: path, followsLinks: true) != nil else { return nil }
        do {
            let device = try FileDescriptor.open(
                FilePath(path), .readWrite, options: [.closeOnExec, .nonBlocking])
            try device.close()
            return .works
        } catch {
            return .refused(error as? Errno ?? .ioError)
        }
    }

    // MARK: Roost's folder

    private static func lookForSockets(
        _ facts: inout MachineFacts, _ environment: [String: String]
    ) {
        let path: String
        do throws(HostError) {
            path = try RunDirectory.standard(environment: environment).path
        } catch {
            facts.runDirectory = .unknown(error.description)
            return
        }
        facts.runDirectoryPath = path
        guard let there = FileFacts(at: path, followsLinks: true) else {
            facts.runDirectory = .missing(canBeMade: SmallFile.mayWrite(in: folder(of: path)))
            return
        }
        guard there.kind == .folder else {
            facts.runDirectory = .obstructed
            return
        }
        facts.runDirectory = .present(
            isWritable: SmallFile.mayWrite(in: path), userID: there.userID)
        facts.staleSockets = SmallFile.names(in: path).sorted().filter { name in
            FileFacts(at: "\(path)/\(name)")?.kind == .socket
                && !Listener.isListening(at: "\(path)/\(name)")
        }
    }

    private static func folder(of path: String) -> String {
        let folder = FilePath(path).removingLastComponent().string
        return folder.isEmpty ? "." : folder
    }

    // MARK: Programs

    private static func lookForPrograms(
        _ facts: inout MachineFacts, _ environment: [String: String]
    ) {
        let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for name in ["qemu-system-x86_64", "qemu-img", "qemu-nbd", "nbdkit", "nbdcopy"] {
            facts.programs[name] =
                find(name, in: folders).map { version(of: $0) } ?? .missing
        }
        // Those speak to Xen when they are run.
        for name in ["xl", "xenstored", "xenstore-ls"] {
            facts.programs[name] = find(name, in: folders).map { .present($0) } ?? .missing
        }
        guard let program = ThisProcess.program else { return }
        facts.plugin = CompanionFile(NBDKitConnection.pluginName, of: program)
        facts.stampedGuest = CompanionFile(StampedGuestProgram.name, of: program)
    }

    private static func find(_ name: String, in folders: [String]) -> String? {
        folders.map { "\($0)/\(name)" }.first { path in
            guard FileFacts(at: path, followsLinks: true)?.kind == .file else { return false }
            return unsafe faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0
        }
    }

    private static func version(of path: String) -> MachineFacts.Program {
        do throws(SystemError) {
            let said = try ChildProgram.output(of: path, ["--version"], within: versionLimit)
            let line = said.text.prefix { $0 != "\n" }
            guard said.status == 0, !line.isEmpty else {
                let words = line.isEmpty ? "" : ": \(line)"
                return .broken("it ends with status \(said.status)\(words)")
            }
            return .present(versionNumber(in: line).map { "version \($0)" } ?? String(line))
        } catch {
            return .broken(error.errno?.description ?? error.description, error.errno)
        }
    }

    /// The first word of a line that begins with a digit.
    static func versionNumber(in line: Substring) -> String? {
        line.split(separator: " ").first { $0.first?.isNumber == true && $0.contains(".") }
            .map(String.init)
    }
}
