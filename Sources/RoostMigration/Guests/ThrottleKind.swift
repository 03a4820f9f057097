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
