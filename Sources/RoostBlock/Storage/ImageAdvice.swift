internal import Glibc
internal import SystemPackage

/// What can be done about an image that cannot be used.
enum ImageAdvice {
    /// Why an image cannot be opened, and what to do.
    ///
    /// - Parameters:
    ///   - reason: What the system says.
    ///   - path: The image.
    ///   - isReadOnly: Whether it was to be read only.
    /// - Returns: The end of a sentence.
    static func reason(_ reason: Errno, path: String, isReadOnly: Bool) -> String {
        switch reason {
        case .noSuchFileOrDirectory: absence(path)
        case .notDirectory: "\(reason): a part of the path is a file; correct the path"
        case .isDirectory: "it is a directory; give a raw image or a block device"
        case .noSuchAddressOrDevice:
            "\(reason): there is no device or reader behind it; give a raw image or a block device"
        case .readOnlyFileSystem:
            "\(reason); serve with --read-only, or mount it for writing"
        case .permissionDenied, .notPermitted:
            "\(reason); " + permission(path, isReadOnly: isReadOnly)
        default: "\(reason)"
        }
    }

    /// What is missing of a path, and what to do.
    private static func absence(_ path: String) -> String {
        let folder = folder(of: path)
        guard unsafe access(folder, F_OK) == 0 else {
            return "the folder \(folder) does not exist; correct the path"
        }
        if isMadeBySystem(path) {
            return "there is no such device; see lsblk for those that there are"
        }
        return "no such file; make it with truncate -s 1G \(path), or correct the path"
    }

    private static func permission(_ path: String, isReadOnly: Bool) -> String {
        guard unsafe access(path, F_OK) == 0 else {
            return "a folder on the way to it is closed to this user: have that changed"
        }
        let isAllowed = unsafe access(path, isReadOnly ? R_OK : W_OK) == 0
        let cause =
            isAllowed
            ? "something else than its permissions forbids it (see lsattr, blockdev --getro)"
            : "its permissions do not let this user \(isReadOnly ? "read" : "write") it: have them "
                + "changed, or run as its owner"
        return isReadOnly ? cause : "\(cause); or serve with --read-only"
    }

    /// What to do about an image of no length.
    static func onEmpty(_ path: String, isBlockDevice: Bool) -> String {
        if isBlockDevice {
            return "there is no medium in the device, or nothing is attached to it; see lsblk"
        }
        return isMadeBySystem(path)
            ? "give a raw image or a block device" : "give it a size: truncate -s 1G \(path)"
    }

    /// What to do about an image whose length is no whole sectors.
    static func onOddSize(
        _ path: String, _ byteCount: UInt64, _ unit: UInt64, isBlockDevice: Bool
    ) -> String {
        guard !isBlockDevice, !isMadeBySystem(path) else {
            return "give an image of whole sectors"
        }
        let whole = (byteCount / unit + 1) * unit
        return "if nothing of it is missing, give it a size that is: truncate -s \(whole) \(path)"
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whether the system makes the files of a path's folder, and people do not.
    private static func isMadeBySystem(_ path: String) -> Bool {
        var folder = folder(of: path)
        // SAFETY: realpath answers a C string that is the caller's, or nothing.
        if let real = unsafe realpath(folder, nil) {
            folder = unsafe String(cString: real)
            unsafe free(real)
        }
        func isIn(_ root: String) -> Bool { folder == root || folder.hasPrefix(root + "/") }
        return ["/dev", "/sys", "/proc"].contains(where: isIn) && !isIn("/dev/shm")
    }
}
