internal import Glibc
package import SystemPackage

/// What is at a path.
package struct FileFacts: Equatable, Sendable {
    /// What kind of thing a path names.
    package enum Kind: Sendable, CustomStringConvertible {
        case file, folder, symbolicLink, pipe, socket, characterDevice, blockDevice, other

        init(mode: mode_t) {
            self =
                switch mode & S_IFMT {
                case S_IFREG: .file
                case S_IFDIR: .folder
                case S_IFLNK: .symbolicLink
                case S_IFIFO: .pipe
                case S_IFSOCK: .socket
                case S_IFCHR: .characterDevice
                case S_IFBLK: .blockDevice
                default: .other
                }
        }

        /// The kind as a sentence has it.
        package var description: String {
            switch self {
            case .file: "a file"
            case .folder: "a folder"
            case .symbolicLink: "a symbolic link"
            case .pipe: "a pipe"
            case .socket: "a socket"
            case .characterDevice: "a character device"
            case .blockDevice: "a block device"
            case .other: "something that is no file"
            }
        }
    }

    /// What it is.
    package let kind: Kind
    /// Its length in bytes, for a file.
    package let byteCount: UInt64
    /// Its permissions and the bits beside them.
    package let mode: UInt32
    /// Who owns it.
    package let userID: UInt32
    let device: UInt64
    let inode: UInt64

    private init(_ status: stat) {
        kind = Kind(mode: status.st_mode)
        byteCount = UInt64(max(status.st_size, 0))
        mode = UInt32(status.st_mode & 0o7777)
        userID = status.st_uid
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Looks at a path; `nil` where nothing is, or nothing that may be looked at.
    ///
    /// - Parameters:
    ///   - path: The path.
    ///   - followsLinks: Whether what a symbolic link leads to is looked at.
    package init?(at path: String, followsLinks: Bool = false) {
        var status = stat()
        // SAFETY: both fill the struct in.
        let result = followsLinks ? unsafe stat(path, &status) : unsafe lstat(path, &status)
        guard result == 0 else { return nil }
        self.init(status)
    }

    /// Looks at an open file; `nil` for a descriptor that is not open.
    ///
    /// - Parameter descriptor: The file.
    package init?(of descriptor: FileDescriptor) {
        var status = stat()
        // SAFETY: fstat fills the struct in.
        guard unsafe fstat(descriptor.rawValue, &status) == 0 else { return nil }
        self.init(status)
    }

    /// Whether both are one and the same file.
    package func isSameFile(as other: FileFacts) -> Bool {
        device == other.device && inode == other.inode
    }
}
