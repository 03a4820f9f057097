internal import RoostSystem

/// How processor time is taken from a guest.
public enum ThrottleKind: String, Sendable, CaseIterable {
    /// The first of the others that can be had.
    case automatic = "auto"
    /// A control group's `cpu.max` (version 2).
    case cgroupV2 = "cgroup-v2"
    /// A control group's `cpu.cfs_quota_us` (version 1).
    case cgroupV1 = "cgroup-v1"
    /// Stopping and continuing the process in turns.
    case stopCycle = "stop-cycle"
}

extension ProcessGuest {
    /// Makes a throttle for this guest.
    ///
    /// - Parameters:
    ///   - kind: Which one.
    ///   - passedOver: For ``ThrottleKind/automatic``, is called with each kind that cannot be used
    ///     and the reason.
    /// - Returns: The throttle, which takes nothing yet.
    /// - Throws: `MigrationError` of kind `unsupported` when this kind cannot be had here.
    public func throttle(
        _ kind: ThrottleKind, passedOver: (ThrottleKind, String) -> Void = { _, _ in }
    ) throws(MigrationError) -> any Throttle {
        switch kind {
        case .cgroupV2:
            return try CgroupThrottle(process, .second)
        case .cgroupV1:
            return try CgroupThrottle(process, .first)
        case .stopCycle:
            return StopThrottle(process)
        case .automatic:
            for kind in [ThrottleKind.cgroupV2, .cgroupV1] {
                do throws(MigrationError) {
                    return try throttle(kind)
                } catch {
                    guard error.kind == .unsupported else { throw error }
                    passedOver(kind, error.description)
                }
            }
            return try throttle(.stopCycle)
        }
    }
}

extension ThrottleKind {
    /// Why a guest beside this process could not be slowed down this way, or `nil`.
    ///
    /// Nothing is changed to find out.
    package func obstacle() -> String? {
        let version: ControlGroupPlace.Version
        switch self {
        case .automatic, .stopCycle: return nil
        case .cgroupV2: version = .second
        case .cgroupV1: version = .first
        }
        let place = ControlGroupPlace(
            version: version, mounts: SmallFile.text(of: "/proc/self/mountinfo") ?? "",
            membership: SmallFile.text(of: "/proc/self/cgroup") ?? "")
        guard let place else {
            return "no hierarchy of version \(version.rawValue) with a processor controller is "
                + "mounted"
        }
        if let obstacle = place.obstacle() { return obstacle }
        guard SmallFile.mayWrite(in: place.parentFolder) else {
            return "\(place.parentFolder) may not be written"
        }
        return nil
    }
}
