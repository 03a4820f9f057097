internal import CRoost
internal import Glibc
public import Logging
internal import RoostSystem
internal import SystemPackage

/// A disk in a raw image file or on a block device.
///
/// Its queues read and write by io_uring, with direct I/O where the file system does it at the
/// granularity of a sector, else through the page cache (one logged sentence says so). A flush is
/// fdatasync(2); a discard punches a hole. The image stays locked, as QEMU locks it, while the object
/// or one of its queues lives. Nobody may make the file shorter meanwhile: reads past its end
/// fail with `EIO`.
public final class FileStorage: BlockStorage {
    /// Whether the page cache is passed by.
    public enum Caching: String, Sendable, CaseIterable {
        /// Direct I/O where it is possible.
        case automatic
        /// Direct I/O, or the image is refused.
        case direct
        /// Through the page cache.
        case buffered
    }

    /// How an image is opened.
    public struct Options: Sendable {
        /// Whether nothing can be written, and others may read it too.
        public var isReadOnly: Bool
        /// Whether the page cache is passed by.
        public var caching: Caching
        /// Whether the image is locked, which only file systems without locks are a reason not to.
        public var isLocked: Bool
        /// How its bytes are taken.
        public var format: ImageFormatChoice
        /// The folder in which it is kept that an image is raw, where the image cannot keep it
        /// itself; `nil` where there is none.
        public var stateFolder: String?

        /// Describes how an image is opened.
        public init(
            isReadOnly: Bool = false, caching: Caching = .automatic, isLocked: Bool = true,
            format: ImageFormatChoice = .automatic, stateFolder: String? = nil
        ) {
            self.isReadOnly = isReadOnly
            self.caching = caching
            self.isLocked = isLocked
            self.format = format
            self.stateFolder = stateFolder
        }
    }

    /// Where the image is.
    public let path: String
    /// What the disk is.
    public let geometry: DiskGeometry
    /// Whether the page cache is passed by.
    public let isDirect: Bool
    /// What the image looked like when it was opened, other than sectors: `qcow2`, `LUKS` and so on.
    public let look: String?
    internal let isBlockDevice: Bool
    internal let file: OwnedDescriptor
    private let isLocked: Bool

    /// Opens and locks an image, which exists.
    ///
    /// One that looks like another format is refused, unless it was served as raw before: see
    /// ``ImageFormatChoice``.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - options: How it is opened.
    ///   - log: Told when the image is not read and written directly, and what it looks like.
    /// - Throws: `BlockError` of kind `image`.
    public init(path: String, options: Options = Options(), log: Logger) throws(BlockError) {
        let opened = try ImageFile.open(path, options, log)
        self.path = path
        geometry = opened.geometry
        isDirect = opened.isDirect
        look = opened.look.title
        isBlockDevice = opened.isBlockDevice
        isLocked = options.isLocked
        file = opened.takeDescriptor()
    }

    /// Which file or device the image is.
    package var identity: ImageIdentity? { try? ImageIdentity(of: file.descriptor) }

    deinit {
        // Closing the file is not enough while a program that another thread starts has a copy of
        // the descriptor, between its fork and its exec.
        if isLocked { ImageLock.release(file.descriptor) }
    }

    /// Makes what one thread reads and writes the image through.
    ///
    /// - Parameters:
    ///   - depth: How many requests can be under way at once, at least one.
    ///   - segmentLimit: The most segments of a request, from 1 to 1,024.
    /// - Returns: The queue, which keeps the image open.
    /// - Throws: `BlockError` of kind `storage` where the system refuses io_uring or memory.
    public func makeQueue(depth: Int, segmentLimit: Int) throws(BlockError) -> FileQueue {
        try FileQueue.make(storage: self, depth: depth, segmentLimit: segmentLimit)
    }
}
