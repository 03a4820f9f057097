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
    /// What it looked like when it was opened.
    let look: ImageLook

    /// Gives the descriptor to who keeps the image open.
    consuming func takeDescriptor() -> OwnedDescriptor { descriptor }

    /// Opens and locks an image, and then finds out how it can be used.
    ///
    /// An image that is refused is as it was.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - options: How it is to be opened.
    ///   - log: Told when it is not read and written directly, and what it looks like.
    /// - Returns: The image.
    /// - Throws: `BlockError` of kind `image`.
    static func open(
        _ path: String, _ options: FileStorage.Options, _ log: Logger
    ) throws(BlockError) -> ImageFile {
        let descriptor = try open(path, isReadOnly: options.isReadOnly)
        let kind = try kind(of: descriptor.descriptor, path)
        if options.isLocked {
            try ImageLock.take(
                descriptor.descriptor, of: path, for: options.isReadOnly ? .reading : .writing)
        }
        let facts: Facts
        do throws(BlockError) {
            facts = try examine(descriptor.descriptor, kind, path, options, log)
        } catch {
            if options.isLocked { ImageLock.release(descriptor.descriptor) }
            throw error
        }
        return ImageFile(
            descriptor: descriptor, geometry: facts.geometry, isDirect: facts.isDirect,
            isBlockDevice: kind.isBlockDevice, look: facts.look)
    }

    /// What was found out about an image that can be used.
    private struct Facts {
        var geometry: DiskGeometry
        var isDirect: Bool
        var look: ImageLook
    }

    private static func examine(
        _ file: FileDescriptor, _ kind: Kind, _ path: String, _ options: FileStorage.Options,
        _ log: Logger
    ) throws(BlockError) -> Facts {
        let sizes = try sizes(of: file, kind, path)
        // Before the size is judged: another format's image may have any.
        let format = ImageFormatCheck(file, byteCount: sizes.byteCount, path, options)
        try format.refuse()
        var geometry = try geometry(sizes, kind, path, options)
        var isDirect = false
        if options.caching != .buffered {
            do throws(BlockError) {
                try makeDirect(file, geometry, path)
                isDirect = true
            } catch {
                if options.caching == .direct { throw error }
                log.notice("\(error.description); it is served through the page cache")
            }
        }
        // A read or write through io_uring that has to wait fails on a nonblocking file.
        if !isDirect { _ = setFlags(0, of: file) }
        geometry.canDiscard = !options.isReadOnly && canDiscard(file, kind)
        format.keep(log)
        return Facts(geometry: geometry, isDirect: isDirect, look: format.look)
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
            "cannot open the image \(path)\(isReadOnly ? "" : " for writing"): "
                + ImageAdvice.reason(reason, path: path, isReadOnly: isReadOnly))
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
                .image,
                "cannot use \(path) as an image: it is "
                    + "\(FileFacts(of: descriptor)?.kind ?? .other); give a raw "
                    + "image or a block device")
        }
    }

    /// How large an image and its sectors are, in bytes.
    private struct Sizes {
        var byteCount: UInt64
        var logical: UInt32 = UInt32(sectorByteCount)
        var physical: UInt32 = 4096
    }

    private static func sizes(
        of descriptor: FileDescriptor, _ kind: Kind, _ path: String
    ) throws(BlockError) -> Sizes {
        var sizes = Sizes(byteCount: kind.byteCount)
        guard kind.isBlockDevice else { return sizes }
        // SAFETY: three local numbers to be filled in.
        let result = unsafe croost_block_device_sizes(
            descriptor.rawValue, &sizes.byteCount, &sizes.logical, &sizes.physical)
        guard result == 0 else {
            let reason = Errno(rawValue: -result)
            throw BlockError(
                .image, errno: reason, "cannot ask the device \(path) for its size: \(reason)")
        }
        return sizes
    }

    private static func geometry(
        _ sizes: Sizes, _ kind: Kind, _ path: String, _ options: FileStorage.Options
    ) throws(BlockError) -> DiskGeometry {
        let unit = UInt64(sizes.logical)
        guard unit == 512 || unit == 4096 else {
            throw BlockError(
                .image,
                "cannot serve \(path): its sectors have \(unit) bytes, and a disk's have 512 or 4096"
            )
        }
        guard sizes.byteCount > 0 else {
            throw BlockError(
                .image,
                "cannot serve \(path): it is empty; "
                    + ImageAdvice.onEmpty(path, isBlockDevice: kind.isBlockDevice))
        }
        guard sizes.byteCount % unit == 0 else {
            throw BlockError(
                .image,
                "cannot serve \(path): its \(sizes.byteCount) bytes are no whole sectors of \(unit); "
                    + ImageAdvice.onOddSize(
                        path, sizes.byteCount, unit, isBlockDevice: kind.isBlockDevice))
        }
        return DiskGeometry(
            sectorCount: sizes.byteCount / UInt64(sectorByteCount),
            logicalSectorByteCount: Int(unit),
            physicalSectorByteCount: Int(max(sizes.physical, sizes.logical)),
            isReadOnly: options.isReadOnly, canFlush: true, canDiscard: false)
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
