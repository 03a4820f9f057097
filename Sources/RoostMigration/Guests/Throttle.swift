/// What takes processor time from a guest, so that it writes less than is sent.
///
/// Called from the source's thread.
public protocol Throttle: AnyObject, Sendable {
    /// What logs call it, such as `cgroup cpu.max`.
    var name: String { get }

    /// Takes a share of the guest's processor time from now on.
    ///
    /// - Parameter percentage: 1 to 99, or 0 to take nothing any more.
    /// - Throws: `MigrationError` of kind `transfer`, or `guest` when the guest is gone.
    func set(percentage: Int) throws(MigrationError)
}
