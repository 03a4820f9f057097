internal import CRoost
internal import RoostSystem
package import SystemPackage

/// Tries whether this process may have what TAP ports are made of.
package enum TAPTrial {
    /// The device that is opened.
    package static var device: String { TAPInterface.cloneDevice }

    /// Opens the clone device and closes it, so that no interface is made.
    ///
    /// - Returns: What it was refused for; `nil` when it works.
    package static func run() -> Errno? {
        let opened = unsafe croost_tap_open(device)
        guard opened >= 0 else { return Errno(rawValue: -opened) }
        _ = OwnedDescriptor(FileDescriptor(rawValue: opened))
        return nil
    }
}
