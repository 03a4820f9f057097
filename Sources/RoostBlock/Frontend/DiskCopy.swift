internal import Glibc
internal import RoostMemory
internal import Synchronization
public import SystemPackage

/// Copies between a file and a disk, several pieces at once.
public struct DiskCopy: Sendable {
    /// How much is copied at once; a request of the largest size that Linux's backend takes.
    static let pieceByteCount = 1 << 20
    /// How many pieces are under way.
    static let threadCount = 4

    /// Which way.
    public enum Direction: Sendable {
        case fromDisk, toDisk
    }

    private let direction: Direction
    private let file: FileDescriptor
    /// How many bytes are copied.
    public let byteCount: UInt64
    private let unit: UInt64

    /// Prepares a copy.
    ///
    /// A copy from the disk makes a new file sparse: what is zero is left out. A file that is copied to
    /// the disk has to fit it.
    ///
    /// - Parameters:
    ///   - direction: Which way.
    ///   - file: The file, open to be written or read; it stays the caller's.
    ///   - geometry: The disk.
    /// - Throws: `BlockError` of kind `image` when the file does not fit.
    public init(
        _ direction: Direction, file: FileDescriptor, geometry: DiskGeometry
    ) throws(BlockError) {
        self.direction = direction
        self.file = file
        unit = UInt64(geometry.logicalSectorByteCount)
        switch direction {
        case .fromDisk:
            byteCount = geometry.byteCount
            guard ftruncate(file.rawValue, Int(geometry.byteCount)) == 0 else {
                throw Self.failure("size the file", Errno(rawValue: errno))
            }
        case .toDisk:
            let size: Int64
            do {
                size = try file.seek(offset: 0, from: .end)
            } catch {
                throw Self.failure("size the file", error as? Errno)
            }
            byteCount = UInt64(size)
            guard byteCount <= geometry.byteCount, byteCount % unit == 0 else {
                throw BlockError(
                    .image,
                    "the file has \(byteCount) bytes and the disk \(geometry.byteCount) in sectors of "
                        + "\(unit): give a file of whole sectors that fits")
            }
        }
    }

    private static func failure(_ what: String, _ reason: Errno?) -> BlockError {
        BlockError(
            .image, errno: reason,
            "cannot \(what): \(reason.map { "\($0)" } ?? "unknown reason"); see to the file")
    }

    /// Copies everything, and makes it durable where it arrives.
    ///
    /// - Parameters:
    ///   - disk: The disk, connected.
    ///   - progress: Is told how many bytes are done of how many, on any thread.
    /// - Throws: `BlockError` of the first piece that failed; the others are given up.
    public func run<Domain>(
        _ disk: BlockFrontend<Domain>, progress: @escaping @Sendable (UInt64, UInt64) -> Void
    ) async throws(BlockError) {
        let next = CopyCursor(byteCount)
        let copy = self
        let results = await withTaskGroup(of: Result<Void, BlockError>.self) { group in
            for _ in 0..<Self.threadCount {
                group.addTask {
                    let outcome = await BlockError.onThread("disk-copy") { () throws(BlockError) in
                        try copy.copyPieces(disk, next, progress)
                    }
                    if case .failure = outcome { next.stop() }
                    return outcome
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for result in results { try result.get() }
        switch direction {
        case .toDisk: try await disk.flush()
        case .fromDisk:
            guard fsync(file.rawValue) == 0 else {
                throw Self.failure("make the copy durable", Errno(rawValue: errno))
            }
        }
    }

    /// Copies pieces until there are none left.
    private func copyPieces<Domain>(
        _ disk: BlockFrontend<Domain>, _ next: CopyCursor,
        _ progress: @Sendable (UInt64, UInt64) -> Void
    ) throws(BlockError) {
        let buffer = try disk.makeBuffer(byteCount: Self.pieceByteCount)
        while let piece = next.take(UInt64(Self.pieceByteCount)) {
            let slice = buffer[0..<piece.count]
            switch direction {
            case .fromDisk:
                try disk.performBlocking(
                    .read, at: piece.lowerBound, byteCount: UInt64(piece.count), slices: [slice])
                try write(buffer, piece)
            case .toDisk:
                try read(buffer, piece)
                try disk.performBlocking(
                    .write, at: piece.lowerBound, byteCount: UInt64(piece.count), slices: [slice])
            }
            progress(next.finish(UInt64(piece.count)), byteCount)
        }
    }

    /// Writes what is not zero, page by page.
    private func write(_ buffer: BlockBuffer, _ piece: Range<UInt64>) throws(BlockError) {
        let file = file
        try buffer.withBytes(0..<piece.count) { bytes throws(BlockError) in
            var start = 0
            while start < bytes.byteCount {
                let end = min(start + pageByteCount, bytes.byteCount)
                let page = bytes.extracting(start..<end)
                if page.byteCount % 256 != 0 || !page.isZero {
                    do throws(Errno) {
                        try page.writeAll(to: file, at: Int64(piece.lowerBound) + Int64(start))
                    } catch {
                        throw Self.failure("write the copy at byte \(piece.lowerBound)", error)
                    }
                }
                start = end
            }
        }
    }

    private func read(_ buffer: BlockBuffer, _ piece: Range<UInt64>) throws(BlockError) {
        let file = file
        try buffer.withMutableBytes(0..<piece.count) { bytes throws(BlockError) in
            do throws(Errno) {
                guard try bytes.readAll(from: file, at: Int64(piece.lowerBound)) else {
                    throw Errno.ioError
                }
            } catch {
                throw Self.failure("read the file at byte \(piece.lowerBound)", error)
            }
        }
    }
}

/// How far a copy has come.
final class CopyCursor: Sendable {
    private let end: UInt64
    private let next = Atomic<UInt64>(0)
    private let done = Atomic<UInt64>(0)

    init(_ byteCount: UInt64) { end = byteCount }

    /// The next piece to copy.
    func take(_ count: UInt64) -> Range<UInt64>? {
        let start = next.add(count, ordering: .relaxed).oldValue
        guard start < end else { return nil }
        return start..<min(start + count, end)
    }

    /// Counts a piece as done.
    ///
    /// - Returns: How much is.
    func finish(_ count: UInt64) -> UInt64 { done.add(count, ordering: .relaxed).newValue }

    /// Gives out no more pieces.
    func stop() { next.store(end, ordering: .relaxed) }
}
