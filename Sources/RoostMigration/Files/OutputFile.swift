internal import Glibc
internal import RoostMemory
internal import SystemPackage

/// A file that appears under its name only when it is complete.
///
/// Bytes go to a file beside it; ``commit()`` makes them durable and gives it the name. A value
/// that ends before that leaves nothing behind. Standard output and what is no regular file
/// (a pipe, a device) are written directly.
struct OutputFile: ~Copyable {
    let path: String
    let descriptor: FileDescriptor
    private let partialPath: String?

    /// Opens the file for writing.
    ///
    /// - Parameter path: The file, or `-` for the standard output.
    /// - Throws: `MigrationError` of kind `transfer`.
    init(path: String) throws(MigrationError) {
        self.path = path
        guard path != "-" else {
            descriptor = .standardOutput
            partialPath = nil
            return
        }
        var status = stat()
        let isSpecial = unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        let target = isSpecial ? path : "\(path).\(getpid()).partial"
        partialPath = isSpecial ? nil : target
        do {
            descriptor = try FileDescriptor.open(
                FilePath(target), .readWrite,
                options: isSpecial ? [.closeOnExec] : [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite])
        } catch {
            throw MigrationError(
                .transfer, errno: error as? Errno,
                "cannot write \(path): \(error); check the folder and its permissions")
        }
    }

    /// Writes everything that waits in a queue.
    func write(_ queue: inout ByteQueue) throws(MigrationError) {
        do throws(Errno) {
            try queue.drainAll(to: descriptor)
        } catch {
            throw failure(error)
        }
    }

    /// Sets the file's length.
    func setByteCount(_ byteCount: UInt64) throws(MigrationError) {
        guard ftruncate(descriptor.rawValue, Int(byteCount)) == 0 else {
            throw failure(Errno(rawValue: errno))
        }
    }

    func failure(_ errno: Errno) -> MigrationError {
        let advice = errno == .noSpace ? "free space or write elsewhere" : "nothing was kept of it"
        return MigrationError(.transfer, errno: errno, "cannot write \(path): \(errno); \(advice)")
    }

    /// Makes the bytes durable and gives the file its name.
    consuming func commit() throws(MigrationError) {
        if let partialPath {
            guard fsync(descriptor.rawValue) == 0 else { throw failure(Errno(rawValue: errno)) }
            guard unsafe rename(partialPath, path) == 0 else {
                throw failure(Errno(rawValue: errno))
            }
            try syncFolder()
        }
    }

    /// Makes the name durable too: it is the folder's, and whoever is told that the file is on
    /// disk lets go of the guest.
    private func syncFolder() throws(MigrationError) {
        let folder = FilePath(path).removingLastComponent()
        let opened: FileDescriptor
        do {
            opened = try FileDescriptor.open(
                folder.isEmpty ? "." : folder, .readOnly, options: [.directory, .closeOnExec])
        } catch {
            throw failure(error as? Errno ?? .ioError)
        }
        defer { try? opened.close() }
        // A file system that cannot sync folders says EINVAL.
        guard fsync(opened.rawValue) == 0 || errno == EINVAL else {
            throw failure(Errno(rawValue: errno))
        }
    }

    deinit {
        if path != "-" { try? descriptor.close() }
        // After a commit the name is gone and this does nothing.
        if let partialPath { unsafe unlink(partialPath) }
    }
}
