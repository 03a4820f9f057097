public import SystemPackage

/// What could be learned about a machine and what this process may do on it.
///
/// A value that ``MachineDoctor`` judges: tests make one up, ``MachineProbe`` reads the real one.
public struct MachineFacts: Equatable, Sendable {
    /// What became of trying something.
    public enum Trial: Equatable, Sendable {
        case works
        case refused(Errno)
    }

    /// A limit of this process; `nil` is no limit.
    public struct Limit: Equatable, Sendable {
        /// What holds now.
        public var current: UInt64?
        /// What this process may raise it to.
        public var maximum: UInt64?

        /// Names a limit.
        public init(current: UInt64?, maximum: UInt64?) {
            self.current = current
            self.maximum = maximum
        }
    }

    /// The folder of Roost's sockets.
    public enum RunDirectory: Equatable, Sendable {
        /// It is there, and may be written or not.
        case present(isWritable: Bool, userID: UInt32)
        /// It is missing, and can be made or not.
        case missing(canBeMade: Bool)
        /// Something else is there.
        case obstructed
        /// Nothing says where it is; why, as a sentence.
        case unknown(String)
    }

    /// A program of another project.
    public enum Program: Equatable, Sendable {
        case missing
        /// It is there, and says this of its version.
        case present(String)
        /// It is there and does not run; why, and the reason for which it could not be started.
        case broken(String, Errno? = nil)
    }

    /// A hypervisor under which this machine is a guest or the first domain.
    public struct Hypervisor: Equatable, Sendable {
        /// What /sys/hypervisor/type says, such as `xen`; `nil` where there is none.
        public var type: String?
        /// Its version, such as `4.17`.
        public var version: String?
        /// What became of looking at each device of Xen's that is there, by path.
        public var devices: [String: Trial] = [:]

        /// No hypervisor.
        public init() {}
    }

    /// Huge pages set aside.
    public struct HugePages: Equatable, Sendable {
        /// How many.
        public var total: UInt64
        /// Those of them that nobody uses.
        public var free: UInt64
        /// The length of each in bytes.
        public var byteCount: UInt64

        /// Names them.
        public init(total: UInt64, free: UInt64, byteCount: UInt64) {
            self.total = total
            self.free = free
            self.byteCount = byteCount
        }
    }

    /// The kernel's release, such as `6.1.0-50-amd64`; `nil` where /proc is not mounted.
    public var kernelRelease: String?
    /// Whether /proc is mounted.
    public var hasProcessFiles = true
    /// The user that this process runs as.
    public var userID: UInt32 = 0
    /// The length of a page in bytes.
    public var pageByteCount = 4096
    /// How many processors are online.
    public var processorCount = 1
    /// The memory in bytes; `nil` where the kernel does not tell.
    public var memoryByteCount: UInt64?
    /// What of it is to be had.
    public var availableMemoryByteCount: UInt64?
    /// Making and mapping a memory file (memfd_create(2)).
    public var memoryFile = Trial.works
    /// Huge pages set aside; `nil` where the kernel does not tell.
    public var hugePages: HugePages?

    /// Protecting a page so that writes to it are remembered (userfaultfd(2), Linux 6.7).
    public var asynchronousProtection = Trial.works
    /// Asking which pages were written (PAGEMAP_SCAN, Linux 6.7).
    public var pagemapScan = Trial.works
    /// Protecting a page so that who writes it waits (userfaultfd(2), Linux 5.19).
    public var synchronousProtection = Trial.works
    /// vm.unprivileged_userfaultfd.
    public var unprivilegedUserfaultfd: String?
    /// Setting up an io_uring.
    public var ring = Trial.works
    /// kernel.io_uring_disabled.
    public var ringDisabled: String?
    /// Whether a filter of system calls holds this process (seccomp(2)).
    public var isFiltered = false
    /// Opening the clone device of TAP interfaces.
    public var tap = Trial.works
    /// Whether this process has CAP_NET_ADMIN; `nil` where the kernel does not tell.
    public var mayAdministrateNetwork: Bool?
    /// Likewise for CAP_SYS_ADMIN.
    public var mayAdministrateSystem: Bool?
    /// Whether the kernel has network namespaces.
    public var hasNetworkNamespaces = true
    /// How many user namespaces a user may have; `nil` where the kernel has none or does not tell.
    public var userNamespaceLimit: UInt64?
    /// Why guests cannot be slowed down by a control group of version 2; `nil` where
    /// they can.
    public var secondControlGroupObstacle: String?
    /// Likewise for version 1.
    public var firstControlGroupObstacle: String?
    /// What this machine itself runs under.
    public var hypervisor = Hypervisor()
    /// Whether /dev/kvm is there, and may be opened.
    public var kvm: Trial?

    /// Descriptors that this process may have open.
    public var openFiles = Limit(current: nil, maximum: nil)
    /// Bytes of memory that are never paged out.
    public var lockedMemory = Limit(current: nil, maximum: nil)
    /// Processes and threads of this user.
    public var processes = Limit(current: nil, maximum: nil)
    /// The folder of Roost's sockets.
    public var runDirectory = RunDirectory.missing(canBeMade: true)
    /// Its path.
    public var runDirectoryPath = "/run/roost"
    /// Sockets in it on which nobody listens.
    public var staleSockets: [String] = []

    /// Other programs, by their names.
    public var programs: [String: Program] = [:]
    /// The plugin of nbdkit; `nil` where this program cannot tell its own path.
    public var plugin: CompanionFile?
    /// Likewise the stamped guest.
    public var stampedGuest: CompanionFile?

    /// A machine on which everything works and no other program is installed.
    public init() {}
}
