internal import Logging
internal import RoostMemory
package import SystemPackage

/// Judges whether an image is served as raw sectors, by what it looks like and what is known of it.
struct ImageFormatCheck {
    /// What the image looks like.
    let look: ImageLook
    private let descriptor: FileDescriptor
    private let path: String
    private let isReadOnly: Bool
    private let memory: ImageFormatMemory
    /// Whether the user, or an earlier time, says that it is raw.
    private let isAsked: Bool
    private let isKnown: Bool

    /// Looks at an open image that is to be served, which stays as it is.
    init(
        _ descriptor: FileDescriptor, byteCount: UInt64, _ path: String,
        _ options: FileStorage.Options
    ) {
        self.descriptor = descriptor
        self.path = path
        isReadOnly = options.isReadOnly
        memory = ImageFormatMemory(folder: options.stateFolder)
        look = Self.look(at: descriptor, byteCount: byteCount)
        isAsked = options.format == .raw
        isKnown = memory.isRaw(descriptor)
    }

    /// Looks at an image's first and last bytes; what cannot be read looks like nothing.
    static func look(at descriptor: FileDescriptor, byteCount: UInt64) -> ImageLook {
        func read(_ offset: UInt64, _ count: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            var span = bytes.mutableSpan
            // SAFETY: any bytes are numbers.
            var raw = unsafe span.mutableBytes
            let place = Int64(clamping: offset)
            // What a file does not have reads as zero.
            _ = try? raw.readAll(from: descriptor, at: place)
            return bytes
        }
        let head = Int(min(byteCount, UInt64(ImageFormat.headByteCount)))
        let tail = Int(min(byteCount, UInt64(ImageFormat.tailByteCount)))
        return ImageLook(head: read(0, head), tail: read(byteCount - UInt64(tail), tail))
    }

    /// Refuses an image of another format, of which nobody says that it is raw.
    ///
    /// - Throws: `BlockError` of kind `image`, with how it is served all the same.
    func refuse() throws(BlockError) {
        guard let format = look.format, !isAsked, !isKnown else { return }
        throw BlockError(
            .image,
            "cannot serve \(path) as it is: it looks like a \(format.title) image, whose own data a "
                + "guest would see for its disk; \(format.advice(for: path)); if its sectors really "
                + "begin or end so, give --format raw")
    }

    /// Keeps it that the image is raw, and says what is remarkable.
    func keep(_ log: Logger) {
        if let title = look.format?.title {
            log.warning(
                """
                \(path) looks like a \(title) image and is served as raw sectors, as \
                \(isAsked ? "it is asked for" : "it was before")
                """)
        } else if look.isEncrypted {
            log.warning(
                """
                \(path) has a LUKS header: its guest is served the encrypted sectors and has to \
                unlock them itself; to serve what is in it, open it first with cryptsetup open
                """)
        }
        guard let reason = memory.rememberRaw(descriptor, path), !isReadOnly else { return }
        log.warning(
            """
            it cannot be kept that \(path) is raw: \(reason); should a guest ever write another \
            format's header into it, serve it with --format raw
            """)
    }
}

/// What copies of disks know of formats.
package enum CopyFormat {
    /// Refuses a source of another format, of which nobody says that it is raw.
    ///
    /// - Parameters:
    ///   - descriptor: The source.
    ///   - byteCount: Its length.
    ///   - path: What it is called.
    ///   - stateFolder: Where it is kept that images are raw.
    /// - Throws: `BlockError` of kind `image`, with how it is copied all the same.
    package static func refuse(
        _ descriptor: FileDescriptor, byteCount: UInt64, _ path: String, stateFolder: String?
    ) throws(BlockError) {
        let look = ImageFormatCheck.look(at: descriptor, byteCount: byteCount)
        guard let format = look.format,
            !ImageFormatMemory(folder: stateFolder).isRaw(descriptor)
        else { return }
        throw BlockError(
            .image,
            "cannot copy \(path) as it is: it looks like a \(format.title) image, whose own data a "
                + "guest would see for its disk; \(format.conversion(of: path)) and copy that; if "
                + "its sectors really begin or end so, give --format raw")
    }

    /// Keeps it of a copy that its sectors are raw, where they look like another format.
    ///
    /// - Parameters:
    ///   - descriptor: The copy, whole.
    ///   - byteCount: Its length.
    ///   - path: What it is called.
    ///   - stateFolder: Where it is kept that images are raw.
    package static func keepRaw(
        _ descriptor: FileDescriptor, byteCount: UInt64, _ path: String, stateFolder: String?
    ) {
        guard ImageFormatCheck.look(at: descriptor, byteCount: byteCount).format != nil else {
            return
        }
        // Where it cannot be kept, who serves the copy is told what to do.
        _ = ImageFormatMemory(folder: stateFolder).rememberRaw(descriptor, path)
    }
}
