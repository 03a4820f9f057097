package import SystemPackage

/// Tries whether this process may have what files are served with.
package enum RingTrial {
    /// Sets up an io_uring and ends it.
    ///
    /// - Returns: What the kernel refused it for; `nil` when it works.
    package static func run() -> Errno? {
        do throws(Errno) {
            let ring = try IORing.make(depth: 1)
            _ = consume ring
            return nil
        } catch {
            return error
        }
    }
}
