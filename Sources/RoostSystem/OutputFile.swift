internal import CRoost
internal import Glibc
package import SystemPackage

/// A file that a command writes: it appears under its name only when it is whole.
///
/// Bytes go to a file beside it, of the name and random letters; ``commit()`` makes them durable
/// and gives it the name. A value that ends before that leaves nothing behind, nor does a process that
/// calls ``Leavings/removeAll()``. A symbolic link is followed, so that it stays one. The standard
/// output (`-`, `/dev/stdout`), a pipe and a character device are written as they are, in order.
///
/// What is at the path already is refused, unless it is an empty file or may be replaced.
package struct OutputFile: ~Copyable, Sendable {
    /// The path as it was given.
    package let path: String
    /// Where bytes go.
    package let descriptor: FileDescriptor
    /// Whether bytes can only be written one behind the other: holes have to be written as zeros.
    package var isStream: Bool { partial == nil }

    /// The file beside the target.
    private struct Partial {
        let path: String
        let target: String
        let token: UInt64?
        /// What was at the target when the file was opened.
        let replaced: FileFacts?
        let mayReplace: Bool
    }

    private let partial: Partial?
    private let isOwned: Bool

    /// Opens the file for writing.
    ///
    /// - Parameters:
    ///   - path: The file, or `-` for the standard output.
    ///   - mayReplace: Whether an existing file that is not empty is replaced.
    ///   - permissions: Those of a new file, before the process's mask; a replaced one's are kept.
    /// - Throws: `SystemError` of kind `file`.
    package init(
        path: String, mayReplace: Bool = false, permissions: FilePermissions = .ownerReadWrite
    ) throws(SystemError) {
        let opened = try Self.open(path, mayReplace: mayReplace, permissions)
        self.path = path
        descriptor = opened.descriptor
        partial = opened.partial
        isOwned = opened.isOwned
    }

    /// What opening a path came to.
    private struct Opened {
        let descriptor: FileDescriptor
        var partial: Partial?
        var isOwned = true
    }

    private static func open(
        _ path: String, mayReplace: Bool, _ permissions: FilePermissions
    ) throws(SystemError) -> Opened {
        if let number = openDescriptor(path) {
            let descriptor = FileDescriptor(rawValue: number)
            guard FileFacts(of: descriptor) != nil else {
                throw refusal(path, "descriptor \(number) is not open")
            }
            return Opened(descriptor: descriptor, isOwned: false)
        }
        let target = try target(path, mayReplace: mayReplace)
        if target.isStream {
            return Opened(
                descriptor: try open(path, target.path, .writeOnly, .closeOnExec, []))
        }
        let name = try partialName(of: target.path)
        let descriptor = try open(
            path, name, .readWrite, [.create, .exclusiveCreate, .closeOnExec, .noFollow],
            permissions)
        if let replaced = target.facts { _ = fchmod(descriptor.rawValue, replaced.mode) }
        return Opened(
            descriptor: descriptor,
            partial: Partial(
                path: name, target: target.path, token: Leavings.note(name),
                replaced: target.facts, mayReplace: mayReplace))
    }

    /// Refuses a path that could not be written, touching nothing: for what is to be known before a
    /// long work begins.
    ///
    /// - Parameters:
    ///   - path: The file, or `-`.
    ///   - mayReplace: Whether an existing file that is not empty may be replaced.
    /// - Throws: `SystemError` of kind `file`.
    package static func check(_ path: String, mayReplace: Bool = false) throws(SystemError) {
        guard openDescriptor(path) == nil else { return }
        let target = try target(path, mayReplace: mayReplace)
        guard !target.isStream else { return }
        let folder = folder(of: target.path)
        guard let facts = FileFacts(at: folder, followsLinks: true) else {
            let reason = unsafe access(folder, F_OK) == 0 ? nil : Errno(rawValue: errno)
            throw refusal(
                path,
                "the folder \(folder) cannot be found (\(reason ?? .noSuchFileOrDirectory)); "
                    + "make it, or write elsewhere", errno: reason)
        }
        guard facts.kind == .folder else {
            throw refusal(path, "\(folder) is \(facts.kind) and no folder; write elsewhere")
        }
        guard unsafe access(folder, W_OK | X_OK) == 0 else {
            throw failure(path, Errno(rawValue: errno), folder: folder)
        }
    }

    // MARK: Where to

    /// Where bytes are to go, and what is there.
    private struct Target {
        var path: String
        var isStream = false
        var facts: FileFacts?
    }

    /// The descriptor that a path stands for, where it stands for one that is open already.
    private static func openDescriptor(_ path: String) -> Int32? {
        switch path {
        case "-", "/dev/stdout": return 1
        case "/dev/stderr": return 2
        default:
            for folder in ["/dev/fd/", "/proc/self/fd/"] where path.hasPrefix(folder) {
                return Int32(path.dropFirst(folder.count)).flatMap { $0 >= 0 ? $0 : nil }
            }
            return nil
        }
    }

    private static func target(_ path: String, mayReplace: Bool) throws(SystemError) -> Target {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw SystemError(.file, "a file needs a name: give a path, or - for standard output")
        }
        guard let facts = FileFacts(at: path) else { return Target(path: path) }
        guard facts.kind == .symbolicLink else {
            return try target(path, facts, in: path, mayReplace: mayReplace)
        }
        guard let end = FileFacts(at: path, followsLinks: true) else {
            throw refusal(
                path, "it is a symbolic link that leads to nothing; write to its target's own name")
        }
        // SAFETY: realpath allocates the text, which is copied and freed.
        guard let real = unsafe realpath(path, nil) else {
            throw failure(path, Errno(rawValue: errno))
        }
        defer { unsafe free(real) }
        return try target(path, end, in: unsafe String(cString: real), mayReplace: mayReplace)
    }

    private static func target(
        _ path: String, _ facts: FileFacts, in place: String, mayReplace: Bool
    ) throws(SystemError) -> Target {
        switch facts.kind {
        case .pipe, .characterDevice:
            return Target(path: place, isStream: true)
        case .file:
            guard facts.byteCount == 0 || mayReplace else {
                throw SystemError(
                    .file, errno: .fileExists,
                    "\(path) exists and is not empty: give another name, or --force to replace it")
            }
            return Target(path: place, facts: facts)
        default:
            throw refusal(path, "it is \(facts.kind); give the name of a file")
        }
    }

    private static func folder(of path: String) -> String {
        let folder = FilePath(path).removingLastComponent()
        return folder.isEmpty ? "." : folder.string
    }

    /// A name beside the target that nobody else has chosen.
    private static func partialName(of target: String) throws(SystemError) -> String {
        let path = FilePath(target)
        guard let name = path.lastComponent?.string, name != ".", name != ".." else {
            throw refusal(target, "it is a folder's name; give that of a file")
        }
        let letters = (0..<10).map { _ in Character(UnicodeScalar(UInt8.random(in: 97...122))) }
        // With its end a name has at most 255 bytes (NAME_MAX).
        var kept = Substring(name)
        while kept.utf8.count > 230 { kept = kept.dropLast() }
        return path.removingLastComponent().appending("\(kept).partial-\(String(letters))").string
    }

    private static func open(
        _ path: String, _ place: String, _ mode: FileDescriptor.AccessMode,
        _ options: FileDescriptor.OpenOptions, _ permissions: FilePermissions
    ) throws(SystemError) -> FileDescriptor {
        do {
            return try FileDescriptor.open(
                FilePath(place), mode, options: options, permissions: permissions)
        } catch {
            throw failure(path, error as? Errno ?? .ioError, folder: folder(of: place))
        }
    }

    // MARK: Writing

    /// Sets the file's length; nothing for a stream.
    ///
    /// - Parameter byteCount: The length.
    /// - Throws: `SystemError` of kind `file`.
    package func setByteCount(_ byteCount: UInt64) throws(SystemError) {
        guard !isStream else { return }
        guard let length = Int(exactly: byteCount) else { throw failure(.fileTooLarge) }
        guard ftruncate(descriptor.rawValue, length) == 0 else {
            throw failure(Errno(rawValue: errno))
        }
    }

    /// What to throw when writing to the descriptor failed.
    ///
    /// - Parameter errno: Why.
    /// - Returns: The error, of kind `file`.
    package func failure(_ errno: Errno) -> SystemError { Self.failure(path, errno) }

    private static func refusal(
        _ path: String, _ reason: String, errno: Errno? = nil
    ) -> SystemError {
        SystemError(.file, errno: errno, "cannot write \(path): \(reason)")
    }

    private static func failure(
        _ path: String, _ errno: Errno, folder: String? = nil
    ) -> SystemError {
        let advice =
            switch errno {
            case .noSpace: "free space, or write elsewhere"
            case .diskQuotaExceeded, .fileTooLarge: "raise the limit, or write elsewhere"
            case .brokenPipe: "whoever was to read it has ended"
            case .noSuchFileOrDirectory, .notDirectory:
                "the folder \(folder ?? "") is not there; make it, or write elsewhere"
            case .permissionDenied, .notPermitted, .readOnlyFileSystem:
                folder.map { "this user may not make files in \($0); write elsewhere" }
                    ?? "this user may not write it"
            default: "nothing was kept of it"
            }
        return refusal(path, "\(errno); \(advice)", errno: errno)
    }

    // MARK: Ending

    /// Makes the bytes durable, under no name yet; nothing for a stream.
    ///
    /// - Throws: `SystemError` of kind `file`.
    package func sync() throws(SystemError) {
        guard !isStream else { return }
        guard fsync(descriptor.rawValue) == 0 else { throw failure(Errno(rawValue: errno)) }
    }

    /// Makes the bytes durable and gives the file its name.
    ///
    /// - Throws: `SystemError` of kind `file`; there is no file of the name then, or the old one.
    package consuming func commit() throws(SystemError) {
        guard let partial else { return }
        try sync()
        try give(partial)
        Leavings.keep(partial.token)
        try syncFolder(of: partial.target)
    }

    /// Gives the partial file the target's name, which meanwhile may have been taken.
    private func give(_ partial: Partial) throws(SystemError) {
        if partial.replaced != nil {
            // Neither what grew nor what took its place meanwhile is lost.
            _ = try Self.target(partial.target, mayReplace: partial.mayReplace)
            guard unsafe rename(partial.path, partial.target) == 0 else {
                throw failure(Errno(rawValue: errno))
            }
            return
        }
        let result = unsafe croost_rename_new(partial.path, partial.target)
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            guard reason == .fileExists else { throw failure(reason) }
            throw SystemError(
                .file, errno: reason,
                "\(path) was made by somebody else meanwhile: give another name")
        }
    }

    /// Makes the name durable too: it is the folder's, and whoever is told that the file is on
    /// disk lets go of the guest.
    private func syncFolder(of target: String) throws(SystemError) {
        let folder = Self.folder(of: target)
        let opened = try Self.open(path, folder, .readOnly, [.directory, .closeOnExec], [])
        defer { try? opened.close() }
        // A file system that cannot sync folders says EINVAL.
        guard fsync(opened.rawValue) == 0 || errno == EINVAL else {
            throw failure(Errno(rawValue: errno))
        }
    }

    deinit {
        if isOwned { try? descriptor.close() }
        // After a commit it is noted no more, and this does nothing.
        Leavings.remove(partial?.token)
    }
}
