/// Where a disk's sectors are to be kept, as people write it.
public enum DiskImage: Equatable, Sendable, CustomStringConvertible {
    /// A raw image file or a block device.
    case file(path: String)
    /// Memory of the process that serves it.
    case memory(byteCount: UInt64)

    /// Reads what people write: a path, or `ram:SIZE`.
    ///
    /// A size is a number of bytes, or one with K, M, G or T behind it for powers of 1,024. A file
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
        case .memory(let byteCount): "ram:" + Self.text(ofByteCount: byteCount)
        }
    }

    /// The units of a size, the largest first.
    private static let units: [(letter: Character, shift: UInt64)] = [
        ("T", 40), ("G", 30), ("M", 20), ("K", 10),
    ]

    private static func byteCount(
        of size: Substring, in text: String
    ) throws(BlockError) -> UInt64 {
        var digits = size
        var shift: UInt64 = 0
        if let unit = units.first(where: { size.last?.uppercased() == String($0.letter) }) {
            digits = size.dropLast()
            shift = unit.shift
        }
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"),
            let number = UInt64(digits)
        else {
            throw BlockError(
                .image,
                "'\(size)' in '\(text)' is no size: give a number with K, M, G or T behind it, "
                    + "such as ram:1G")
        }
        let (byteCount, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow, byteCount <= UInt64(Int64.max) else {
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

    private static func text(ofByteCount byteCount: UInt64) -> String {
        for unit in units where byteCount.trailingZeroBitCount >= Int(unit.shift) && byteCount > 0 {
            return "\(byteCount >> unit.shift)\(unit.letter)"
        }
        return "\(byteCount)"
    }
}
