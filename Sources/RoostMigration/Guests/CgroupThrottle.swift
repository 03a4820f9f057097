internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Takes processor time from a guest through a control group of its own.
///
/// The guest's process is moved into a new group, `roost-` and its number, whose quota is what it
/// used by itself, less the percentage taken. What it used is measured between the making of the
/// throttle and its first use: at least one processor, at most those online, or one for each
/// thread when there was no time to measure. When nothing is taken any more the process goes back
/// to the group it came from and the new one is removed; a `Keeper` does so should this process be killed.
public final class CgroupThrottle: Throttle {
    /// A process's use of processors is measured over at least this time: ten ticks.
    static let measuringTime = Duration.milliseconds(100)
    /// Attempts to remove a group: the kernel needs a moment after its last process left.
    static let removalAttempts = 100

    private struct Group: ~Copyable {
        let folder: String
        let processors: Double
        let keeper: Keeper
    }

    /// `cgroup cpu.max`, or `cgroup cpu.cfs_quota_us` for version 1.
    public let name: String
    private let process: GuestProcess
    private let place: ControlGroupPlace
    private let madeAt = ContinuousClock.now
    private let ticksThen: UInt64
    private let group = Mutex<Group?>(nil)

    /// Makes a throttle, which takes nothing yet and changes nothing.
    init(
        _ process: GuestProcess, _ version: ControlGroupPlace.Version
    ) throws(MigrationError) {
        let name = version == .second ? "cgroup cpu.max" : "cgroup cpu.cfs_quota_us"
        let membership = SmallFile.text(of: "/proc/\(process.handle.processID)/cgroup") ?? ""
        let mounts = SmallFile.text(of: "/proc/self/mountinfo") ?? ""
        let found = ControlGroupPlace(version: version, mounts: mounts, membership: membership)
        guard let found else {
            throw MigrationError(
                .unsupported,
                "\(name) is not to be had: no hierarchy of version \(version.rawValue) with a "
                    + "processor controller is mounted for the guest")
        }
        if let obstacle = found.obstacle() {
            throw MigrationError(.unsupported, "\(name) is not to be had: \(obstacle)")
        }
        self.name = name
        self.process = process
        place = found
        ticksThen = Self.ticks(process)
    }

    /// What the group's own statistics say, while the guest is in it; `nil` otherwise.
    ///
    /// The proof that the throttle works: both numbers grow while a busy guest is throttled.
    public var effect: ThrottleEffect? {
        let folder = group.withLock { group -> String? in
            switch group {
            case .some(let group): group.folder
            case .none: nil
            }
        }
        return folder.flatMap { SmallFile.text(of: $0 + "/cpu.stat") }.flatMap(ThrottleEffect.init)
    }

    /// Takes a share of the guest's processor time from now on.
    ///
    /// - Parameter percentage: 1 to 99, or 0 to take nothing any more.
    /// - Throws: `MigrationError` of kind `transfer`, or `guest` when the guest is gone.
    public func set(percentage: Int) throws(MigrationError) {
        precondition((0...99).contains(percentage))
        do throws(Errno) {
            try group.withLock { (group) throws(Errno) in
                if percentage == 0 {
                    if let taken = group.take() { try lift(taken) }
                    return
                }
                if group == nil { group = try makeGroup() }
                guard let folder = group?.folder, let processors = group?.processors else { return }
                let quota = ProcessorQuota(taking: percentage, of: processors)
                try write(quota, in: folder)
                // Repeated at each step, since whoever manages the guest may have moved it.
                try SmallFile.write(
                    "\(process.handle.processID)", to: folder + "/cgroup.procs")
            }
        } catch {
            if process.handle.hasEnded {
                discard()
                throw process.ended(error)
            }
            throw MigrationError(
                .transfer, errno: error,
                "cannot throttle the guest, process \(process.handle.processID), through its "
                    + "control group in \(place.parentFolder): \(error)"
                    + (error == .permissionDenied ? "; run as root or have it delegated" : ""))
        }
    }

    private static func ticks(_ process: GuestProcess) -> UInt64 {
        process.handle.threads().reduce(0) { $0 &+ $1.ticks }
    }

    /// How many processors' time the guest has used since this object was made.
    private func usedProcessors() -> Double {
        let online = Double(ThisProcess.processorCount)
        let threads = process.handle.threads()
        let elapsed = madeAt.duration(to: .now)
        guard elapsed >= Self.measuringTime else {
            return min(online, Double(max(1, threads.count)))
        }
        let ticks = threads.reduce(0) { $0 &+ $1.ticks }
        let used = Double(ticks > ticksThen ? ticks - ticksThen : 0) / ThreadStatus.ticksPerSecond
        return min(online, max(1, used / (elapsed / .seconds(1))))
    }

    private func makeGroup() throws(Errno) -> Group {
        let folder = "\(place.parentFolder)/roost-\(process.handle.processID)"
        do throws(Errno) {
            try SmallFile.makeFolder(folder)
        } catch {
            // One that a killed Roost left is as good as a new one.
            guard error == .fileExists else { throw error }
        }
        do throws(Errno) {
            let unlimited = Keeper.Write(
                unlimitedText, to: try SmallFile.openForWriting(folder + "/" + quotaFile))
            let back = Keeper.Write(
                "\(process.handle.processID)",
                to: try SmallFile.openForWriting(place.folder + "/cgroup.procs"))
            let keeper = try Keeper(
                continuing: nil, writing: consume unlimited, then: consume back, removing: folder)
            try keeper.arm()
            return Group(folder: folder, processors: usedProcessors(), keeper: keeper)
        } catch {
            try? SmallFile.removeFolder(folder)
            throw error
        }
    }

    private var quotaFile: String { place.version == .second ? "cpu.max" : "cpu.cfs_quota_us" }
    private var unlimitedText: String { place.version == .second ? "max" : "-1" }

    private func write(_ quota: ProcessorQuota, in folder: String) throws(Errno) {
        if place.version == .second {
            try SmallFile.write("\(quota.quota) \(quota.period)", to: folder + "/cpu.max")
        } else {
            try SmallFile.write("\(quota.period)", to: folder + "/cpu.cfs_period_us")
            try SmallFile.write("\(quota.quota)", to: folder + "/cpu.cfs_quota_us")
        }
    }

    /// Undoes everything; the keeper ends with the group's last mention.
    private func lift(_ group: consuming Group) throws(Errno) {
        let folder = group.folder
        try SmallFile.write(unlimitedText, to: folder + "/" + quotaFile)
        let members = SmallFile.text(of: folder + "/cgroup.procs") ?? ""
        for member in members.split(separator: "\n") {
            // A process that has ended meanwhile needs not go back.
            try? SmallFile.write(String(member), to: place.folder + "/cgroup.procs")
        }
        group.keeper.disarm()
        try Self.remove(folder)
    }

    private static func remove(_ folder: String) throws(Errno) {
        var attempts = 0
        while true {
            do throws(Errno) {
                return try SmallFile.removeFolder(folder)
            } catch {
                if error == .noSuchFileOrDirectory { return }
                attempts += 1
                guard error == .resourceBusy, attempts < removalAttempts else { throw error }
                ThisProcess.sleep(.milliseconds(1))
            }
        }
    }

    /// Lets the group go, as far as the system lets it.
    private func discard() {
        group.withLock { group in
            // What remains is an empty group without a limit.
            if let taken = group.take() { try? lift(taken) }
        }
    }

    deinit {
        discard()
    }
}
