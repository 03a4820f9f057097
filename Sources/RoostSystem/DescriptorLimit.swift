internal import CRoost

/// The number of descriptors that this process may have open (setrlimit(2), RLIMIT_NOFILE).
package enum DescriptorLimit {
    /// Raises it to what the process is allowed; what cannot be raised stays.
    ///
    /// Systems start processes with 1,024, for the sake of those that use select(2).
    package static func raise() {
        _ = croost_raise_descriptor_limit()
    }
}
