internal import CRoost
package import SystemPackage

/// A file that one process at a time holds (flock(2)), let go when the value ends.
package struct FileLock: ~Copyable, Sendable {
    private let owned: OwnedDescriptor

    private init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// Waits until nobody else holds the file, and makes it if it is missing.
    ///
    /// - Parameter path: The file, of mode 0600.
    /// - Returns: The lock.
    /// - Throws: `Errno` of open(2) or flock(2).
    package static func take(_ path: String) throws(Errno) -> FileLock {
        let file: OwnedDescriptor
        do {
            file = OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), .readWrite, options: [.create, .closeOnExec, .noFollow],
                    permissions: .ownerReadWrite))
        } catch {
            throw (error as? Errno) ?? .ioError
        }
        let result = croost_lock_file(file.descriptor.rawValue)
        guard result == 0 else { throw Errno(rawValue: -result) }
        return FileLock(file)
    }

    /// Holds a file that is open, unless somebody else does.
    ///
    /// - Parameter descriptor: The file; it is let go when its last copy is closed.
    /// - Returns: Whether this open file holds it now.
    package static func hold(_ descriptor: FileDescriptor) -> Bool {
        croost_try_lock_file(descriptor.rawValue) == 0
    }
}
