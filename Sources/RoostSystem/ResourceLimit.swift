internal import CRoost

/// What a process may use at most of something (getrlimit(2)).
package struct ResourceLimit: Equatable, Sendable {
    /// What is limited.
    package enum Resource: Int32, Sendable {
        /// Descriptors that are open (RLIMIT_NOFILE).
        case openFiles
        /// Memory that is never paged out, in bytes (RLIMIT_MEMLOCK).
        case lockedMemory
        /// Processes and threads of the user (RLIMIT_NPROC).
        case processes
    }

    /// What holds now; `nil` for no limit.
    package var current: UInt64?
    /// What it may be raised to; `nil` for no limit.
    package var maximum: UInt64?

    /// Names limits.
    package init(current: UInt64?, maximum: UInt64?) {
        self.current = current
        self.maximum = maximum
    }

    /// This process's limit.
    ///
    /// - Parameter resource: Of what.
    package init(of resource: Resource) {
        var current: UInt64 = 0
        var maximum: UInt64 = 0
        // SAFETY: two local values, alive for the call, which fails for no resource named above.
        _ = unsafe croost_resource_limit(resource.rawValue, &current, &maximum)
        self.init(
            current: current == .max ? nil : current, maximum: maximum == .max ? nil : maximum)
    }
}
