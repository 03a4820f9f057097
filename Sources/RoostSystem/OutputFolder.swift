internal import Glibc
internal import SystemPackage

/// A folder into which a command writes files whose names it does not know before.
package enum OutputFolder {
    /// Refuses a folder that could not be written to, or in which files might be replaced: for what
    /// is to be known before a long work begins.
    ///
    /// - Parameters:
    ///   - path: The folder, which must exist.
    ///   - mayReplace: Whether files in it may be replaced.
    /// - Throws: `SystemError` of kind `file`.
    package static func check(_ path: String, mayReplace: Bool = false) throws(SystemError) {
        guard let facts = FileFacts(at: path, followsLinks: true) else {
            // SAFETY: a path and a mode.
            let result = unsafe access(path, F_OK)
            let reason = result == 0 ? Errno.noSuchFileOrDirectory : Errno(rawValue: errno)
            throw SystemError(
                .file, errno: reason,
                "the folder \(path) cannot be found (\(reason)): make it, or name another")
        }
        guard facts.kind == .folder else {
            throw SystemError(
                .file, errno: .notDirectory, "\(path) is \(facts.kind) and no folder: name a folder"
            )
        }
        // SAFETY: a path and a mode.
        guard unsafe access(path, W_OK | X_OK) == 0 else {
            let reason = Errno(rawValue: errno)
            throw SystemError(
                .file, errno: reason,
                "nothing can be written to the folder \(path): \(reason); name one that this user "
                    + "may write to")
        }
        guard mayReplace || SmallFile.names(in: path).isEmpty else {
            throw SystemError(
                .file, errno: .fileExists,
                "the folder \(path) holds files: name an empty one, or give --force to replace those "
                    + "that have a block's name")
        }
    }
}
