internal import CRoost
internal import Glibc
internal import SystemPackage

/// The number of descriptors that this process may have open (setrlimit(2), RLIMIT_NOFILE).
package enum DescriptorLimit {
    /// Raises it to what the process is allowed; what cannot be raised stays.
    ///
    /// Systems start processes with 1,024, for the sake of those that use select(2).
    package static func raise() {
        _ = croost_raise_descriptor_limit()
    }

    /// Why so many more descriptors cannot be opened, with what to do about it.
    ///
    /// Libraries that end the process when they get none are only used after asking here. Each is
    /// opened and closed again, since a process may hold some that it does not know of.
    ///
    /// - Parameter count: How many are needed.
    /// - Returns: A sentence; `nil` when they can be had.
    package static func shortage(of count: Int) -> String? {
        raise()
        var opened: [FileDescriptor] = []
        defer { for descriptor in opened { try? descriptor.close() } }
        do {
            for _ in 0..<count {
                opened.append(
                    try FileDescriptor.open(FilePath("/dev/null"), .readOnly, options: .closeOnExec)
                )
            }
            return nil
        } catch {
            let limit = sysconf(Int32(_SC_OPEN_MAX))
            return
                "this process may have \(limit) files open, of which \(opened.count) are free and "
                + "\(count) are needed: raise the limit on open files, as by ulimit -n 1024"
        }
    }
}
