internal import CRoost
package import SystemPackage

/// A process's memory protected from writing through userfaultfd(2), so that writes are noticed.
///
/// It concerns the memory of the process that opened it, whoever holds the descriptor: one process
/// opens it and passes it to another, which registers, protects and answers faults. When the last
/// copy of the descriptor is closed the kernel ends the protection and lets every thread that
/// waits for an answer go on, so a holder that dies cannot hang anybody.
package struct WriteProtection: ~Copyable, Sendable {
    /// What happens at a write to a protected page.
    package enum Mode: Sendable {
        /// The kernel lets it be written at once and remembers that it was, for ``PagemapScan``.
        case asynchronous
        /// The writing thread waits until the page is unprotected.
        case synchronous
    }

    /// The descriptor, owned by this value.
    package let descriptor: FileDescriptor

    /// Takes over a descriptor that another process opened.
    ///
    /// - Parameter descriptor: The descriptor, closed by this value from now on.
    package init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Opens one for the memory of this process.
    ///
    /// Where the kernel permits it, writes that system calls do on behalf of the process, such as
    /// read(2), wait like others; elsewhere they fail with EFAULT on a page protected
    /// synchronously, and are noticed like others where it is asynchronous.
    ///
    /// - Parameter mode: What happens at a write.
    /// - Returns: The protection, of no memory yet.
    /// - Throws: `Errno` of userfaultfd(2), or of its UFFDIO_API: `invalidArgument` when the kernel
    ///   is too old for the mode.
    package static func open(_ mode: Mode) throws(Errno) -> WriteProtection {
        var result = mode == .synchronous ? croost_uffd_open(0) : -EPERM
        if result < 0 { result = croost_uffd_open(1) }
        guard result >= 0 else { throw Errno(rawValue: -result) }
        let protection = WriteProtection(FileDescriptor(rawValue: result))
        var features = CROOST_UFFD_WP_SHARED_MEMORY | CROOST_UFFD_WP_UNPOPULATED
        if mode == .asynchronous { features |= CROOST_UFFD_WP_ASYNC }
        try check(croost_uffd_api(result, features))
        return protection
    }

    private static var EPERM: Int32 { Errno.notPermitted.rawValue }

    /// Makes a range's pages ones that can be protected.
    ///
    /// - Parameter addresses: Whole pages of the process's memory.
    /// - Throws: `Errno` of UFFDIO_REGISTER: `noSuchProcess` when the process has ended.
    package func register(_ addresses: Range<UInt64>) throws(Errno) {
        try Self.check(
            croost_uffd_register(
                descriptor.rawValue, addresses.lowerBound, UInt64(addresses.count)))
    }

    /// Makes pages ordinary again.
    ///
    /// - Parameter addresses: What was registered.
    /// - Throws: `Errno` of UFFDIO_UNREGISTER.
    package func unregister(_ addresses: Range<UInt64>) throws(Errno) {
        try Self.check(
            croost_uffd_unregister(
                descriptor.rawValue, addresses.lowerBound, UInt64(addresses.count)))
    }

    /// Protects registered pages from writing.
    ///
    /// - Parameter addresses: Whole pages.
    /// - Throws: `Errno` of UFFDIO_WRITEPROTECT.
    package func protect(_ addresses: Range<UInt64>) throws(Errno) {
        try Self.check(
            croost_uffd_protect(
                descriptor.rawValue, addresses.lowerBound, UInt64(addresses.count), 1))
    }

    /// Lets registered pages be written, and whoever waits to write them go on.
    ///
    /// - Parameter addresses: Whole pages.
    /// - Throws: `Errno` of UFFDIO_WRITEPROTECT.
    package func unprotect(_ addresses: Range<UInt64>) throws(Errno) {
        try Self.check(
            croost_uffd_protect(
                descriptor.rawValue, addresses.lowerBound, UInt64(addresses.count), 0))
    }

    /// The address of a write that waits, or `nil` when none waits that was not reported yet.
    ///
    /// - Throws: `Errno` of reading the descriptor.
    package func nextFault() throws(Errno) -> UInt64? {
        while true {
            var fault = croost_fault()
            // SAFETY: a local value, alive for the call.
            let result = unsafe croost_uffd_read(descriptor.rawValue, &fault)
            if result < 0 {
                let reason = Errno(rawValue: -result)
                guard reason != .resourceTemporarilyUnavailable else { return nil }
                throw reason
            }
            if fault.flags & CROOST_UFFD_FAULT_WP != 0 { return fault.address }
        }
    }

    private static func check(_ result: Int32) throws(Errno) {
        if result < 0 { throw Errno(rawValue: -result) }
    }

    deinit {
        try? descriptor.close()
    }
}
