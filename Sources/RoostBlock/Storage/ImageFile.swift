internal import CRoost
internal import Glibc
internal import Logging
internal import RoostSystem
internal import SystemPackage

/// An image that was opened, and what was found out about it.
internal struct ImageFile: ~Copyable {
    let descriptor: OwnedDescriptor
    let geometry: DiskGeometry
    let isDirect: Bool
    let isBlockDevice: Bool

    /// Gives the descriptor to who keeps the image open.
    consuming func takeDescriptor() -> OwnedDescriptor { descriptor }

    /// Opens an image and finds out how it can be used.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - options: How it is to be opened.
    ///   - log: Told when it is not read and written directly.
    /// - Returns: The image.
    /// - Throws: `BlockError` of kind `image`.
    static func open(
        _ path: String, _ options: FileStorage.Options, _ log: Logger
    ) throws(BlockError) -> ImageFile {
        let descriptor = try open(path, isReadOnly: options.isReadOnly)
        let kind = try kind(of: descriptor.descriptor, path)
        let geometry = try geometry(of: descriptor.descriptor, kind, path, options)
        var isDirect = false
        if options.caching != .buffered {
            do throws(BlockError) {
                try makeDirect(descriptor.descriptor, geometry, path)
                isDirect = true
            } catch {
                if options.caching == .direct { throw error }
                log.notice("\(error.description); it is served through the page cache")
            }
        }
        // A read or write through io_uring that has to wait fails on a nonblocking file.
        if !isDirect { _ = setFlags(0, of: descriptor.descriptor) }
        return ImageFile(
            descriptor: descriptor, geometry: geometry, isDirect: isDirect,
            isBlockDevice: kind.isBlockDevice)
    }

    private static func open(
        _ path: String, isReadOnly: Bool
    ) throws(BlockError) -> OwnedDescriptor {
        // Nonblocking at first, so that a pipe somebody named is refused and not waited for.
        let flags = (isReadOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
        // SAFETY: the path is a C string for the call.
        let result = unsafe Glibc.open(path, flags)
        let reason = Errno(rawValue: Glibc.errno)
        if result >= 0 { return OwnedDescriptor(FileDescriptor(rawValue: result)) }
        throw BlockError(
            .image, errno: reason,
            "cannot open the image \(path)\(isReadOnly ? "" : " for writing"): \(reason)"
                + advice(on: reason, path: path, isReadOnly: isReadOnly))
    }

    private static func advice(on reason: Errno, path: String, isReadOnly: Bool) -> String {
        switch reason {
        case .noSuchFileOrDirectory: "; make it with truncate -s 1G \(path), or correct the path"
        case .isDirectory: "; give a raw image or a block device"
        case .noSuchAddressOrDevice: "; give a raw image or a block device"
        case .permissionDenied, .notPermitted, .readOnlyFileSystem:
            isReadOnly
                ? "; give yourself the right to read it"
                : "; give yourself the right to write it, or serve with --read-only"
        default: ""
        }
    }

    /// What the system says a file is.
    private struct Kind {
        var isBlockDevice: Bool
        var byteCount: UInt64
    }

    private static func kind(
        of descriptor: FileDescriptor, _ path: String
    ) throws(BlockError) -> Kind {
        var facts = stat()
        // SAFETY: fstat fills the struct in.
        let result = unsafe fstat(descriptor.rawValue, &facts)
        guard result == 0 else {
            let reason = Errno(rawValue: Glibc.errno)
            throw BlockError(.image, errno: reason, "cannot examine the image \(path): \(reason)")
        }
        switch facts.st_mode & S_IFMT {
        case S_IFREG: return Kind(isBlockDevice: false, byteCount: UInt64(facts.st_size))
        case S_IFBLK: return Kind(isBlockDevice: true, byteCount: 0)
        default:
            throw BlockError(
                .image, "cannot use \(path) as an image: it is neither a file nor a block device")
        }
    }

    private static func geometry(
        of descriptor: FileDescriptor, _ kind: Kind, _ path: String, _ options: FileStorage.Options
    ) throws(BlockError) -> DiskGeometry {
        var byteCount = kind.byteCount
        var logical: UInt32 = UInt32(sectorByteCount)
        var physical: UInt32 = 4096
        if kind.isBlockDevice {
            let result = unsafe croost_block_device_sizes(
                descriptor.rawValue, &byteCount, &logical, &physical)
            guard result == 0 else {
                let reason = Errno(rawValue: -result)
                throw BlockError(
                    .image, errno: reason, "cannot ask the device \(path) for its size: \(reason)")
            }
            guard logical == 512 || logical == 4096 else {
                throw BlockError(
                    .image,
                    "cannot serve \(path): its sectors have \(logical) bytes, and a disk's have 512 "
                        + "or 4096")
            }
        }
        let unit = UInt64(logical)
        guard byteCount > 0 else {
            throw BlockError(
                .image, "cannot serve \(path): it is empty; give it a size: truncate -s 1G \(path)")
        }
        guard byteCount % unit == 0 else {
            let whole = (byteCount / unit + 1) * unit
            throw BlockError(
                .image,
                "cannot serve \(path): its \(byteCount) bytes are no whole sectors of \(unit); give "
                    + "it a size that is: truncate -s \(whole) \(path)")
        }
        let canDiscard = !options.isReadOnly && canDiscard(descriptor, kind)
        return DiskGeometry(
            sectorCount: byteCount / UInt64(sectorByteCount),
            logicalSectorByteCount: Int(logical),
            physicalSectorByteCount: Int(max(physical, logical)), isReadOnly: options.isReadOnly,
            canFlush: true, canDiscard: canDiscard)
    }

    /// Whether holes can be punched, tried behind the end of a file, where nothing is.
    private static func canDiscard(_ descriptor: FileDescriptor, _ kind: Kind) -> Bool {
        // A device that cannot says so at the first discard.
        if kind.isBlockDevice { return true }
        let behind = Int64(clamping: kind.byteCount / 4096 * 4096 + 4096)
        return croost_punch_hole(descriptor.rawValue, behind, 4096) == 0
    }

    /// Makes a file blocking, with further flags of open(2).
    private static func setFlags(_ flags: Int32, of descriptor: FileDescriptor) -> Errno? {
        let result = fcntl(descriptor.rawValue, F_SETFL, flags)
        return result == 0 ? nil : Errno(rawValue: Glibc.errno)
    }

    /// Turns direct I/O on, where a sector at any place of a page is possible.
    ///
    /// - Throws: `BlockError` of kind `image`: the file is as it was.
    private static func makeDirect(
        _ descriptor: FileDescriptor, _ geometry: DiskGeometry, _ path: String
    ) throws(BlockError) {
        let what = "cannot read and write \(path) directly"
        let unit = UInt32(geometry.logicalSectorByteCount)
        var memory: UInt32 = 0
        var offset: UInt32 = 0
        let told = unsafe croost_direct_alignment(descriptor.rawValue, &memory, &offset)
        if told == 0 && offset == 0 {
            throw BlockError(.image, "\(what): its file system does not do it")
        }
        if told == 0 && max(memory, offset) > unit {
            throw BlockError(
                .image,
                "\(what): its file system does it by \(max(memory, offset)) bytes, and the disk's "
                    + "sectors have \(unit)")
        }
        if let reason = setFlags(Int32(CROOST_O_DIRECT), of: descriptor) {
            throw BlockError(
                .image, errno: reason, "\(what): its file system refuses O_DIRECT (\(reason))")
        }
        guard unit == UInt32(sectorByteCount) else { return }
        // Not every kernel or file system tells, so two sectors are read.
        let places: [Int64] = geometry.sectorCount > 1 ? [0, Int64(sectorByteCount)] : [0]
        for place in places {
            let read = croost_try_sector(descriptor.rawValue, place)
            guard read >= 0 else {
                _ = setFlags(0, of: descriptor)
                let reason = Errno(rawValue: Int32(-read))
                throw BlockError(
                    .image, errno: reason,
                    "\(what): it refuses a sector at byte \(place) (\(reason))")
            }
        }
    }
}
