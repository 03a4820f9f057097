internal import CRoost
internal import Glibc
package import SystemPackage

/// Files of a few lines, such as those by which the kernel tells and is told things.
package enum SmallFile {
    /// The most bytes read of one.
    static let maximumByteCount = 1 << 20

    /// The text of a file.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: The text, or `nil` when it cannot be read.
    package static func text(of path: String) -> String? {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        else { return nil }
        defer { try? file.close() }
        return text(of: file)
    }

    /// The text of an open file, from where it is read next.
    ///
    /// - Parameter file: The file.
    /// - Returns: The text, or `nil` when it cannot be read.
    package static func text(of file: FileDescriptor) -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < maximumByteCount {
            let count = try? unsafe chunk.withUnsafeMutableBytes { target in
                // SAFETY: the buffer is the array's, held exclusively for the call.
                try unsafe file.read(into: target)
            }
            guard let count else { return nil }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Opens a file to write commands to.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - mode: The permissions of a new file, which there must not be yet; `nil` opens one that is.
    /// - Returns: Its descriptor.
    /// - Throws: `Errno` of open(2).
    package static func openForWriting(
        _ path: String, making mode: FilePermissions? = nil
    ) throws(Errno) -> OwnedDescriptor {
        let making: FileDescriptor.OpenOptions = mode == nil ? [] : [.create, .exclusiveCreate]
        do {
            return OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), .writeOnly, options: making.union(.closeOnExec),
                    permissions: mode))
        } catch {
            throw error as? Errno ?? .ioError
        }
    }

    /// Writes a text in one call, as such files want it.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - path: Which file.
    /// - Throws: `Errno` of open(2) or write(2).
    package static func write(_ text: String, to path: String) throws(Errno) {
        let file = try openForWriting(path)
        try write(text, to: file.descriptor)
        withExtendedLifetime(file) {}
    }

    /// Writes a text in one call at a file's start.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - descriptor: The file.
    /// - Throws: `Errno` of write(2).
    package static func write(_ text: String, to descriptor: FileDescriptor) throws(Errno) {
        let bytes = Array(text.utf8)
        let result = unsafe bytes.withUnsafeBytes { source in
            // SAFETY: the buffer is the array's, alive for the call.
            unsafe Glibc.write(descriptor.rawValue, source.baseAddress, source.count)
        }
        guard result >= 0 else { throw Errno(rawValue: errno) }
    }

    /// The names in a folder, without those that begin with a dot.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: The names; none when it cannot be read.
    package static func names(in path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        // SAFETY: an entry is valid until the next call, and its name ends with a zero.
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                unsafe tuple.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// Whether this process may make and remove files in a folder, or write a file.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: Whether it may; not where there is nothing.
    package static func mayWrite(in path: String) -> Bool {
        let wanted = FileFacts(at: path, followsLinks: true)?.kind == .folder ? W_OK | X_OK : W_OK
        return unsafe faccessat(AT_FDCWD, path, wanted, AT_EACCESS) == 0
    }

    /// Makes a folder.
    ///
    /// - Parameter path: Where.
    /// - Throws: `Errno` of mkdir(2).
    package static func makeFolder(_ path: String) throws(Errno) {
        let result = unsafe mkdir(path, 0o755)
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    /// Removes a file; nothing happens where there is none.
    ///
    /// - Parameter path: Which.
    package static func remove(_ path: String) {
        _ = unsafe unlink(path)
    }

    /// Removes an empty folder.
    ///
    /// - Parameter path: Which.
    /// - Throws: `Errno` of rmdir(2).
    package static func removeFolder(_ path: String) throws(Errno) {
        let result = unsafe rmdir(path)
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    /// The type of the file system that a path lies in, as statfs(2) gives it.
    ///
    /// - Parameter path: The path.
    /// - Returns: The type, or `nil` when there is no such path.
    package static func fileSystemType(of path: String) -> Int64? {
        let result = unsafe croost_file_system_type(path)
        return result < 0 ? nil : result
    }
}
