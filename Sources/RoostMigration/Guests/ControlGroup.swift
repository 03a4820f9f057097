internal import RoostSystem
internal import SystemPackage

/// Where a process is in a hierarchy of control groups with a processor controller (cgroups(7)).
struct ControlGroupPlace: Equatable, Sendable {
    /// The two interfaces of the kernel.
    enum Version: Int, Sendable {
        case first = 1
        case second = 2

        /// The type of the file system (Linux include/uapi/linux/magic.h: CGROUP_SUPER_MAGIC,
        /// CGROUP2_SUPER_MAGIC).
        var fileSystemType: Int64 { self == .first ? 0x27_E0EB : 0x6367_7270 }
    }

    let version: Version
    /// Where the hierarchy is mounted.
    let mountPoint: String
    /// The process's group, as a path in the hierarchy: `/` or `/a/b`.
    let group: String

    /// The group's folder.
    var folder: String { group == "/" ? mountPoint : mountPoint + group }

    /// The folder in which a group for the process alone may be made.
    ///
    /// In version 2 a group that limits its children holds no processes itself, except the root:
    /// the new group is therefore beside the process's. In version 1 it is inside, so that the
    /// limits of the process's group hold as before.
    var parentFolder: String {
        guard version == .second, group != "/", let slash = group.lastIndex(of: "/") else {
            return folder
        }
        return mountPoint + group[..<slash]
    }

    /// Finds a process in a hierarchy by what the kernel says.
    ///
    /// `nil` when no such hierarchy is mounted, or not that part of it.
    ///
    /// - Parameters:
    ///   - version: Which kind of hierarchy.
    ///   - mounts: The text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    ///   - membership: The text of `/proc/PID/cgroup` (cgroups(7)).
    init?(version: Version, mounts: String, membership: String) {
        guard let group = Self.group(version, membership) else { return nil }
        for line in mounts.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 5, fields.count > dash + 3 else {
                continue
            }
            let type = fields[dash + 1]
            let options = fields[dash + 3].split(separator: ",")
            let isWanted =
                version == .second ? type == "cgroup2" : type == "cgroup" && options.contains("cpu")
            guard isWanted else { continue }
            let root = fields[3] == "/" ? "" : fields[3]
            guard group == root || group.hasPrefix(root + "/") else { continue }
            let rest = String(group.dropFirst(root.count))
            self.version = version
            mountPoint = String(fields[4])
            self.group = rest.isEmpty ? "/" : rest
            return
        }
        return nil
    }

    private static func group(_ version: Version, _ membership: String) -> String? {
        for line in membership.split(separator: "\n") {
            let parts = line.split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",")
            let isWanted =
                version == .second
                ? parts[0] == "0" && parts[1].isEmpty : controllers.contains("cpu")
            if isWanted { return String(parts[2]) }
        }
        return nil
    }

    /// Why no group with a limit can be made here, or `nil`.
    func obstacle() -> String? {
        guard SmallFile.fileSystemType(of: mountPoint) == version.fileSystemType else {
            return "\(mountPoint) is no control group hierarchy of version \(version.rawValue)"
        }
        guard version == .second else {
            return SmallFile.text(of: folder + "/cpu.cfs_quota_us") == nil && group != "/"
                ? "\(folder) has no cpu.cfs_quota_us: the kernel lacks CONFIG_CFS_BANDWIDTH" : nil
        }
        let file = parentFolder + "/cgroup.subtree_control"
        guard let controllers = SmallFile.text(of: file) else {
            return "\(file) cannot be read"
        }
        guard controllers.split(whereSeparator: \.isWhitespace).contains("cpu") else {
            return "the processor controller is not there: \(file) does not list 'cpu'"
        }
        return nil
    }
}

/// A limit of processor time, as files of a control group state it.
struct ProcessorQuota: Equatable, Sendable {
    /// The shortest quota that the kernel takes, in microseconds (Linux kernel/sched/core.c:
    /// min_cfs_quota_period).
    static let minimumQuota = 1000
    /// The period where the quota does not ask for a longer one.
    ///
    /// Shorter than the kernel's 100 ms,
    /// so that the guest never stands still for long and a signal reaches it soon.
    static let usualPeriod = 10_000
    /// The longest period that the kernel takes.
    static let maximumPeriod = 1_000_000

    /// Microseconds of processor time in each period.
    let quota: Int
    /// The period in microseconds.
    let period: Int

    /// What is left of some processors.
    ///
    /// - Parameters:
    ///   - percentage: What is taken, 1 to 99.
    ///   - processors: How many processors' time the guest uses by itself.
    init(taking percentage: Int, of processors: Double) {
        precondition((1...99).contains(percentage) && processors > 0)
        let share = processors * Double(100 - percentage) / 100
        let needed = (Double(Self.minimumQuota) / share).rounded(.up)
        period = min(max(Self.usualPeriod, Int(min(needed, 1e6))), Self.maximumPeriod)
        quota = max(Self.minimumQuota, Int(share * Double(period)))
    }
}

/// What a control group's `cpu.stat` says about its limit.
public struct ThrottleEffect: Equatable, Sendable {
    /// In how many periods the guest was made to wait.
    public let throttledPeriods: UInt64
    /// How long its threads waited, all together.
    public let throttledTime: Duration

    /// Reads a `cpu.stat` of either version; `nil` when it has no such lines.
    init?(_ text: String) {
        var periods: UInt64?
        var time: Duration?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let value = UInt64(words[1]) else { continue }
            let number = Int64(clamping: value)
            switch words[0] {
            case "nr_throttled": periods = value
            case "throttled_time": time = .nanoseconds(number)
            case "throttled_usec": time = .microseconds(number)
            default: break
            }
        }
        guard let periods, let time else { return nil }
        throttledPeriods = periods
        throttledTime = time
    }
}
