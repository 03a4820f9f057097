internal import CRoost
internal import Glibc
internal import RoostSystem
internal import SystemPackage

/// Remembers of an image that it was served as raw sectors.
///
/// A guest may write anything into its disk, also what looks like another format's header: that must
/// not keep the disk from being served the next time. So it is kept with the image, as an extended
/// attribute, which goes where the file goes; where there is no room for one (block devices, file
/// systems without), in a small file of the state folder, named after what the image is and not
/// after its path:
///
///     roost image format 1
///     format raw
///     image device dm-LVM-…
///     path /dev/vg/web1
struct ImageFormatMemory {
    /// The attribute's name.
    static let attribute = "user.roost.format"
    /// Its value, and that of the file's second line.
    private static let raw = "raw"
    /// The first line of a file of this version.
    private static let firstLine = "roost image format 1"

    /// Where the files are; `nil` where nobody says.
    let folder: String?

    /// Whether an image is known to be raw.
    ///
    /// - Parameter descriptor: The image.
    /// - Returns: Whether it, or the state folder, says so.
    func isRaw(_ descriptor: FileDescriptor) -> Bool {
        if Self.attribute(of: descriptor) == Self.raw { return true }
        guard let folder, let key = ImageKey(of: descriptor),
            let text = SmallFile.text(of: "\(folder)/\(key.fileName)")
        else { return false }
        let lines = text.split(separator: "\n")
        return lines.count >= 3 && lines[0] == Self.firstLine && lines[1] == "format \(Self.raw)"
            && lines[2] == "image \(key.text)"
    }

    /// Keeps it of an image that it is raw, unless that is known.
    ///
    /// - Parameters:
    ///   - descriptor: The image.
    ///   - path: What it is called.
    /// - Returns: `nil` once it is kept, else why it cannot be.
    func rememberRaw(_ descriptor: FileDescriptor, _ path: String) -> String? {
        if isRaw(descriptor) { return nil }
        let value = Array(Self.raw.utf8)
        // SAFETY: the bytes are the array's, alive for the call.
        let result = unsafe croost_write_attribute(
            descriptor.rawValue, Self.attribute, value, value.count)
        if result == 0 { return nil }
        let reason = "it takes no extended attribute (\(Errno(rawValue: -result)))"
        guard let key = ImageKey(of: descriptor) else {
            return "\(reason), and has no identity that lasts"
        }
        guard let folder else { return "\(reason), and there is no state folder: set ROOST_STATE" }
        let text = """
            \(Self.firstLine)
            format \(Self.raw)
            image \(key.text)
            path \(path.filter { $0 != "\n" })

            """
        do throws(SystemError) {
            try Self.makeFolders(folder)
            let file = try OutputFile(
                path: "\(folder)/\(key.fileName)", mayReplace: true,
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            do throws(Errno) {
                try SmallFile.write(text, to: file.descriptor)
            } catch {
                throw file.failure(error)
            }
            try file.commit()
            return nil
        } catch {
            return "\(reason), and the state folder takes no file: \(error.description), or name "
                + "another folder in ROOST_STATE"
        }
    }

    private static func attribute(of descriptor: FileDescriptor) -> String? {
        var value = [UInt8](repeating: 0, count: 64)
        let room = value.count
        // SAFETY: the bytes are the array's, held exclusively for the call.
        let count = unsafe croost_read_attribute(descriptor.rawValue, attribute, &value, room)
        guard count > 0 else { return nil }
        return String(decoding: value[..<Int(count)], as: UTF8.self)
    }

    private static func makeFolders(_ path: String) throws(SystemError) {
        if FileFacts(at: path, followsLinks: true) != nil { return }
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try makeFolders(String(path[..<slash]))
        }
        do throws(Errno) {
            try SmallFile.makeFolder(path)
        } catch {
            guard error != .fileExists else { return }
            throw SystemError(
                .file, errno: error, "cannot make the folder \(path): \(error); make it")
        }
    }
}

/// What an image is known by for longer than this start of the host, so that another one at its path
/// is not taken for it.
struct ImageKey: Equatable {
    /// The identity in full.
    let text: String

    /// Finds out what an open image is known by; `nil` when nothing of it lasts.
    init?(of descriptor: FileDescriptor) {
        var facts = stat()
        // SAFETY: fstat fills the struct in.
        guard unsafe fstat(descriptor.rawValue, &facts) == 0 else { return nil }
        switch facts.st_mode & S_IFMT {
        case S_IFREG: text = Self.file(descriptor, facts)
        case S_IFBLK:
            guard let device = Self.device(descriptor, facts) else { return nil }
            text = device
        default: return nil
        }
    }

    /// A file's name for it, which has a fixed length's bound and is no other's.
    var fileName: String {
        let plain = text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        // FNV-1a, of which a clash shows in the file's third line.
        let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
        return "image-\(String(plain.prefix(80)))-\(String(hash, radix: 16))"
    }

    /// A file: its file system, its inode, and when it was made, since inodes are used again.
    private static func file(_ descriptor: FileDescriptor, _ facts: stat) -> String {
        var system: UInt64 = 0
        var birth: Int64 = 0
        // SAFETY: local numbers to be filled in.
        let isKnown = unsafe croost_file_system_number(descriptor.rawValue, &system) == 0
        let isDated = unsafe croost_birth_time(descriptor.rawValue, &birth) == 0
        let place = isKnown && system != 0 ? "\(String(system, radix: 16))" : "\(facts.st_dev)"
        return "file \(place) inode \(facts.st_ino)" + (isDated ? " made \(birth)" : "")
    }

    /// A block device: what it is made of, or its maker's number.
    private static func device(_ descriptor: FileDescriptor, _ facts: stat) -> String? {
        let (major, minor) = numbers(of: facts.st_rdev)
        let folder = "/sys/dev/block/\(major):\(minor)"
        var (whole, part) = (folder, "")
        if line("\(folder)/partition") != nil, let start = line("\(folder)/start") {
            (whole, part) = ("\(folder)/..", " part \(start)")
        }
        if let under = LoopBacking(of: descriptor) {
            return loop(under, whole).map { $0 + part }
        }
        for name in [
            "dm/uuid", "md/uuid", "wwid", "device/wwid", "serial", "device/serial", "device/cid",
        ] {
            if let text = line("\(whole)/\(name)") { return "device \(name) \(text)\(part)" }
        }
        return nil
    }

    /// A loop device: the file under it, if that is still where it was.
    private static func loop(_ under: LoopBacking, _ folder: String) -> String? {
        guard let path = line("\(folder)/loop/backing_file"),
            let file = try? FileDescriptor.open(
                FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
        else { return nil }
        let owned = OwnedDescriptor(file)
        defer { withExtendedLifetime(owned) {} }
        var facts = stat()
        // SAFETY: fstat fills the struct in.
        guard unsafe fstat(file.rawValue, &facts) == 0, UInt64(facts.st_ino) == under.inode,
            UInt64(facts.st_dev) == under.device
        else { return nil }
        return ImageKey(of: file).map { "\($0.text) loop \(under.offset)" }
    }

    /// The major and minor number of a device (Linux's `dev_t` in user space).
    private static func numbers(of device: UInt) -> (major: UInt, minor: UInt) {
        (device >> 8 & 0xfff | device >> 32 & ~0xfff, device & 0xff | device >> 12 & ~0xff)
    }

    /// The text of one line, or `nil` where there is none.
    private static func line(_ path: String) -> String? {
        let text = SmallFile.text(of: path).map { text in
            String(text.prefix { $0 != "\n" && $0 != "\0" })
        }
        guard var text else { return nil }
        while text.last == " " { text.removeLast() }
        return text.isEmpty ? nil : text
    }
}
