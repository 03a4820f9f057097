import Glibc
import LabSupport
import RoostMemory
@testable import RoostMigration
import RoostSystem
import SystemPackage
import Testing

/// What of it needs a hierarchy of version 2 with a processor controller is tested only in its
/// texts: there is none on the machines that these tests have run on.
@Suite("Throttles", .timeLimit(.minutes(5)))
struct ThrottleTests {
    static let hasVersion1 =
        SmallFile.fileSystemType(of: "/sys/fs/cgroup/cpu") == 0x27_E0EB && getuid() == 0

    @Test(
        "a control group takes the guest's time and gives it back",
        .enabled(if: hasVersion1, "needs root and a hierarchy of version 1 at /sys/fs/cgroup/cpu"))
    func controlGroup() async throws {
        let test = try await TestGuest(isBusy: true)
        let group = SmallFile.text(of: "/proc/\(test.guest.processID)/cgroup")
        let throttle = try #require(try test.guest.throttle(.cgroupV1) as? CgroupThrottle)
        #expect(throttle.effect == nil)
        try throttle.set(percentage: 90)
        let first = try #require(throttle.effect)
        let later = try await poll(TestGuest.limit, "the kernel to hold the guest back") {
            throttle.effect.flatMap { $0.throttledPeriods > first.throttledPeriods + 2 ? $0 : nil }
        }
        #expect(later.throttledTime > first.throttledTime)
        let folder = try #require(throttleFolder(of: test.guest.processID))
        let quota = try #require(number(in: folder + "/cpu.cfs_quota_us"))
        let period = try #require(number(in: folder + "/cpu.cfs_period_us"))
        #expect(quota * 10 <= period * ThisProcess.processorCount)
        try throttle.set(percentage: 99)
        try await test.runs()
        try throttle.set(percentage: 0)
        #expect(SmallFile.text(of: "/proc/\(test.guest.processID)/cgroup") == group)
        #expect(!hasControlGroup(test.guest.processID))
        // Once more, and without a lift by hand.
        try throttle.set(percentage: 50)
        try await test.runs()
    }

    @Test(
        "a throttle that is let go leaves no control group",
        .enabled(if: hasVersion1, "needs root and a hierarchy of version 1 at /sys/fs/cgroup/cpu"))
    func releasedControlGroup() async throws {
        let test = try await TestGuest(isBusy: true)
        var throttle: (any Throttle)? = try test.guest.throttle(.cgroupV1)
        try throttle?.set(percentage: 80)
        #expect(hasControlGroup(test.guest.processID))
        throttle = nil
        #expect(!hasControlGroup(test.guest.processID))
    }

    @Test(
        "throttling a guest that was killed says so and leaves nothing",
        arguments: [
            ThrottleKind.cgroupV1, .stopCycle,
        ])
    func killedGuest(kind: ThrottleKind) async throws {
        guard kind == .stopCycle || Self.hasVersion1 else { return }
        let test = try await TestGuest()
        let throttle = try test.guest.throttle(kind)
        try throttle.set(percentage: 30)
        try await test.program.stop()
        let error = #expect(throws: MigrationError.self) { try throttle.set(percentage: 40) }
        #expect(error?.kind == .guest)
        #expect(!hasControlGroup(test.guest.processID))
    }

    @Test("the stop cycle takes the guest's time and gives it back")
    func stopCycle() async throws {
        let test = try await TestGuest(isBusy: true)
        let throttle = try test.guest.throttle(.stopCycle)
        try throttle.set(percentage: 90)
        for _ in 0..<3 {
            _ = try await poll(TestGuest.limit, "the guest to stand still") {
                test.guest.process.handle.threads().contains(where: \.isStopped) ? true : nil
            }
            try await test.runs()
        }
        try throttle.set(percentage: 0)
        let isAnyStopped = test.guest.process.handle.threads().contains(where: \.isStopped)
        #expect(!isAnyStopped)
        try await test.runs()
    }

    @Test(
        "the stop cycle's pause is to a cycle as the share that is taken",
        arguments: [(1, 101), (50, 10_000), (90, 90_000), (99, 990_000)])
    func pauses(percentage: Int, microseconds: Int) {
        let pause = StopThrottle.pause(taking: percentage)
        #expect(pause.components.attoseconds / 1_000_000_000_000 == microseconds)
    }

    @Test("the stop cycle does not continue a paused guest")
    func pauseHolds() async throws {
        let test = try await TestGuest(isBusy: true)
        let throttle = try test.guest.throttle(.stopCycle)
        try throttle.set(percentage: 50)
        try await test.runs()
        for _ in 0..<10 {
            try test.guest.pause()
            let counter = test.counter
            // Longer than a whole cycle.
            try await Task.sleep(for: .milliseconds(30))
            #expect(test.counter == counter)
            test.guest.resume()
            try await test.runs()
        }
    }

    @Test("a hierarchy of version 2 without a processor controller is passed over with the reason")
    func versionWithoutController() async throws {
        let test = try await TestGuest()
        let mounts = SmallFile.text(of: "/proc/self/mountinfo") ?? ""
        guard mounts.contains("- cgroup2"),
            SmallFile.text(of: "/sys/fs/cgroup/unified/cgroup.subtree_control")?.isEmpty == true
        else { return }
        let error = #expect(throws: MigrationError.self) { _ = try test.guest.throttle(.cgroupV2) }
        #expect(error?.kind == .unsupported)
        #expect(error?.description.contains("the processor controller is not there") == true)
        var passedOver: [ThrottleKind] = []
        let throttle = try test.guest.throttle(.automatic) { kind, _ in passedOver.append(kind) }
        #expect(passedOver.first == .cgroupV2)
        #expect(throttle.name != "cgroup cpu.max")
    }

    @Test("a process is found in both kinds of hierarchy")
    func places() {
        let mounts = """
            24 30 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
            25 24 0:23 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
            26 24 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            27 24 0:25 /box /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            """
        let membership = "4:memory:/m\n2:cpu,cpuacct:/box/vm\n0::/user.slice/a.scope\n"
        let first = ControlGroupPlace(version: .first, mounts: mounts, membership: membership)
        #expect(first?.folder == "/sys/fs/cgroup/cpu,cpuacct/vm")
        #expect(first?.parentFolder == "/sys/fs/cgroup/cpu,cpuacct/vm")
        let second = ControlGroupPlace(version: .second, mounts: mounts, membership: membership)
        #expect(second?.folder == "/sys/fs/cgroup/unified/user.slice/a.scope")
        #expect(second?.parentFolder == "/sys/fs/cgroup/unified/user.slice")
        let outside = ControlGroupPlace(
            version: .first, mounts: mounts, membership: "2:cpu,cpuacct:/elsewhere\n")
        #expect(outside == nil)
        let none = ControlGroupPlace(version: .second, mounts: "", membership: membership)
        #expect(none == nil)
        let root = ControlGroupPlace(version: .second, mounts: mounts, membership: "0::/\n")
        #expect(root?.parentFolder == "/sys/fs/cgroup/unified")
    }

    @Test(
        "a quota is the share that is left, within what the kernel takes",
        arguments: [
            (1, 1.0, 9_900, 10_000), (50, 2.0, 10_000, 10_000), (99, 1.0, 1_000, 100_000),
            (99, 2.0, 1_000, 50_000), (90, 1.0, 1_000, 10_000), (20, 1.5, 12_000, 10_000),
        ])
    func quotas(percentage: Int, processors: Double, quota: Int, period: Int) {
        let found = ProcessorQuota(taking: percentage, of: processors)
        #expect(abs(found.period - period) <= 1)
        #expect(abs(found.quota - quota) <= 1)
    }

    @Test("the statistics of both versions are read")
    func statistics() {
        let first = ThrottleEffect("nr_periods 9\nnr_throttled 4\nthrottled_time 1500000\n")
        #expect(first?.throttledPeriods == 4)
        #expect(first?.throttledTime == .microseconds(1500))
        let second = ThrottleEffect(
            "usage_usec 7\nnr_periods 9\nnr_throttled 2\nthrottled_usec 30\nnr_bursts 0\n")
        #expect(second?.throttledPeriods == 2)
        #expect(second?.throttledTime == .microseconds(30))
        #expect(ThrottleEffect("usage_usec 7\n") == nil)
        #expect(ThrottleEffect("") == nil)
    }
}

/// Whether a throttle of version 1 has made a control group for a guest of these tests.
func hasControlGroup(_ guest: Int32) -> Bool { throttleFolder(of: guest) != nil }

/// The folder of the control group that a throttle of version 1 has made for a guest of these tests,
/// which are in the same group as the tests themselves.
func throttleFolder(of guest: Int32) -> String? {
    let place = ControlGroupPlace(
        version: .first, mounts: SmallFile.text(of: "/proc/self/mountinfo") ?? "",
        membership: SmallFile.text(of: "/proc/self/cgroup") ?? "")
    guard let place, SmallFile.names(in: place.parentFolder).contains("roost-\(guest)") else {
        return nil
    }
    return "\(place.parentFolder)/roost-\(guest)"
}

/// The number that a small file holds.
func number(in path: String) -> Int? {
    SmallFile.text(of: path).flatMap { Int($0.split(separator: "\n").first ?? "") }
}
