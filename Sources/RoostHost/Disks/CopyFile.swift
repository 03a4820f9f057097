internal import Glibc
internal import RoostBlock
internal import RoostSystem
internal import SystemPackage

/// The other end of a copy, looked at and locked before the first byte; it stays as it is until then.
///
/// What is locked is locked as QEMU and `roost disk serve` lock an image, until the value's end.
final class CopyFile: Sendable {
    let path: String
    let kind: DiskCopy.FileKind
    /// The source, the target where one exists, or nothing.
    var descriptor: FileDescriptor? { held?.file.descriptor }
    private let held: Held?

    /// A file that stays locked.
    private final class Held: Sendable {
        let file: OwnedDescriptor

        init(_ file: consuming OwnedDescriptor) { self.file = file }

        deinit { ImageLock.release(file.descriptor) }
    }

    private init(_ path: String, _ kind: DiskCopy.FileKind) {
        self.path = path
        self.kind = kind
        held = nil
    }

    private init(_ path: String, _ kind: DiskCopy.FileKind, _ file: consuming OwnedDescriptor) {
        self.path = path
        self.kind = kind
        held = Held(file)
    }

    // MARK: A target

    /// Looks at where a disk is to be copied.
    ///
    /// - Parameters:
    ///   - path: A file, a block device, a pipe, a character device, or `-`.
    ///   - disk: The disk's name.
    ///   - image: Which file or device the disk's own image is, where that is known.
    ///   - mayReplace: Whether a file that is not empty may be replaced.
    /// - Returns: The target, locked where it exists.
    /// - Throws: `HostError` or `BlockError`.
    static func target(
        _ path: String, of disk: String, image: ImageIdentity?, mayReplace: Bool
    ) throws -> CopyFile {
        let isOutput = path == "-" || path == "/dev/stdout"
        if isOutput {
            try refuseOwn(.standardOutput, path, disk, image)
            try check(path, mayReplace: true)
            return CopyFile(path, .stream)
        }
        let facts = FileFacts(at: path, followsLinks: true)
        switch facts?.kind {
        case .blockDevice?:
            let device = try open(path, .readWrite, O_EXCL)
            try refuseOwn(device.descriptor, path, disk, image)
            try lock(device.descriptor, path, for: .writing)
            return CopyFile(path, .blockDevice, device)
        case .file?:
            // Only its locks are wanted: what is written is another file, which takes its place.
            let file = try open(path, .readOnly)
            try refuseOwn(file.descriptor, path, disk, image)
            try check(path, mayReplace: mayReplace)
            try lock(file.descriptor, path, for: .writing)
            return CopyFile(path, isDescriptor(path) ? .stream : .file, file)
        case .pipe?, .characterDevice?:
            try check(path, mayReplace: mayReplace)
            return CopyFile(path, .stream)
        default:
            try check(path, mayReplace: mayReplace)
            return CopyFile(path, .file)
        }
    }

    /// Whether a path stands for a descriptor that is open already, which is written as it is.
    private static func isDescriptor(_ path: String) -> Bool {
        path == "/dev/stderr" || path.hasPrefix("/dev/fd/") || path.hasPrefix("/proc/self/fd/")
    }

    private static func check(_ path: String, mayReplace: Bool) throws(HostError) {
        do throws(SystemError) {
            try OutputFile.check(path, mayReplace: mayReplace)
        } catch {
            throw HostError(.disk, path: path, errno: error.errno, error.description)
        }
    }

    // MARK: A source

    /// Looks at what a disk is to be written from.
    ///
    /// - Parameters:
    ///   - path: A file or a block device.
    ///   - disk: The disk's name.
    ///   - image: Which file or device the disk's own image is, where that is known.
    /// - Returns: The file, which has a length.
    /// - Throws: `HostError` or `BlockError`.
    static func source(
        _ path: String, for disk: String, image: ImageIdentity?
    ) throws -> CopyFile {
        let file = try open(path, .readOnly)
        let kind = FileFacts(of: file.descriptor)?.kind ?? .other
        guard kind == .file || kind == .blockDevice else {
            throw HostError(
                .disk, path: path,
                "cannot copy from \(path): it is \(kind == .folder ? "a directory" : "\(kind)"), "
                    + "which has no length; give a raw image or a block device")
        }
        try refuseOwn(file.descriptor, path, disk, image)
        guard try length(of: file.descriptor, path) > 0 else {
            throw HostError(
                .disk, path: path,
                "cannot copy from \(path): it is empty, or says no length; give a raw image or a "
                    + "block device")
        }
        try lock(file.descriptor, path, for: .reading)
        return CopyFile(path, kind == .file ? .file : .blockDevice, file)
    }

    /// The length of an open file or device.
    static func length(of file: FileDescriptor, _ path: String) throws(HostError) -> UInt64 {
        do {
            let end = try file.seek(offset: 0, from: .end)
            try file.seek(offset: 0, from: .start)
            return UInt64(end)
        } catch Errno.invalidArgument {
            // Some files of the kernel's cannot even be asked.
            return 0
        } catch {
            throw HostError(
                .disk, path: path, errno: error as? Errno,
                "cannot find out how long \(path) is: \(error); give a file or a block device")
        }
    }

    // MARK: Both

    private static func open(
        _ path: String, _ mode: FileDescriptor.AccessMode, _ flags: Int32 = 0
    ) throws(HostError) -> OwnedDescriptor {
        do {
            // Nonblocking, so that a pipe somebody named is refused and not waited for.
            return OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), mode,
                    options: [
                        .closeOnExec, .nonBlocking, FileDescriptor.OpenOptions(rawValue: flags),
                    ]))
        } catch {
            let reason = error as? Errno ?? .ioError
            let verb = mode == .readOnly ? "read" : "write"
            let advice =
                switch reason {
                case .resourceBusy:
                    "the host uses it itself (mounted, swap, part of an array; see lsblk); have it "
                        + "let go first"
                case .noSuchFileOrDirectory, .notDirectory: "correct the path"
                case .permissionDenied, .notPermitted:
                    "this user may not \(verb) it; have its permissions changed, or run as its owner"
                case .readOnlyFileSystem: "the device cannot be written; see blockdev --getro"
                default: "give another"
                }
            throw HostError(
                .disk, path: path, errno: reason, "cannot \(verb) \(path): \(reason); \(advice)")
        }
    }

    private static func refuseOwn(
        _ file: FileDescriptor, _ path: String, _ disk: String, _ image: ImageIdentity?
    ) throws(HostError) {
        guard let image, let own = try? ImageIdentity(of: file), own.isSame(as: image) else {
            return
        }
        throw HostError(
            .disk, path: path,
            "cannot copy disk \(disk) and \(path) onto each other: \(path) is the disk's own image, "
                + "or lies in it; give another file")
    }

    private static func lock(
        _ file: FileDescriptor, _ path: String, for access: ImageLock.Access
    ) throws(BlockError) {
        let alternative = "give another file"
        do throws(BlockError) {
            try ImageLock.take(file, of: path, for: access, alternative: alternative)
        } catch {
            // Where there are no locks, nobody can hold one.
            guard error.errno != .resourceTemporarilyUnavailable else { throw error }
        }
    }
}
