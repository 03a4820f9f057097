internal import RoostSystem

/// Where a disk's sectors are to be kept, as people write it.
public enum DiskImage: Equatable, Sendable, CustomStringConvertible {
    /// A raw image file or a block device.
    case file(path: String)
    /// Memory of the process that serves it.
    case memory(byteCount: UInt64)

    /// Reads what people write: a path, or `ram:SIZE`.
    ///
    /// A size is a number of bytes, or one with K, M, G or T behind it for powers of 1,024, also as
    /// KiB and so on. A file
    /// whose name begins with `ram:` is written `./ram:…`.
    ///
    /// - Parameter text: What was written.
    /// - Throws: `BlockError` of kind `image`.
    public init(_ text: String) throws(BlockError) {
        guard text.hasPrefix("ram:") else {
            guard !text.isEmpty, !text.utf8.contains(0) else {
                throw BlockError(.image, "an image needs a name: give a path, or ram:SIZE")
            }
            self = .file(path: text)
            return
        }
        self = .memory(byteCount: try Self.byteCount(of: text.dropFirst(4), in: text))
    }

    /// The image as people write it; ``init(_:)`` reads it back.
    public var description: String {
        switch self {
        case .file(let path): path
        case .memory(let byteCount): "ram:" + ByteSize.text(byteCount)
        }
    }

    private static func byteCount(
        of size: Substring, in text: String
    ) throws(BlockError) -> UInt64 {
        guard let byteCount = ByteSize.bytes(size) else {
            throw BlockError(
                .image, "'\(size)' in '\(text)' is no size: give \(ByteSize.forms)")
        }
        guard byteCount <= UInt64(Int64.max) else {
            throw BlockError(.image, "'\(size)' in '\(text)' is more than a disk can have")
        }
        guard byteCount > 0, byteCount % UInt64(sectorByteCount) == 0 else {
            throw BlockError(
                .image,
                "'\(size)' in '\(text)' is no size of a disk: give a positive multiple of "
                    + "\(sectorByteCount) bytes")
        }
        return byteCount
    }
}
