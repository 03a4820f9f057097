internal import CRoost
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

    /// What the file of a copy is.
    public enum FileKind: Sendable {
        /// A new file, or one to be read: what is zero of a disk is left out of it.
        case file
        /// A block device: what is zero of a disk is made so there.
        case blockDevice
        /// A pipe or a character device, which is written from its begin to its end.
        case stream
    }

    private let direction: Direction
    private let file: FileDescriptor
    private let name: String
    private let kind: FileKind
    /// How many bytes are copied.
    public let byteCount: UInt64

    /// Prepares a copy.
    ///
    /// - Parameters:
    ///   - direction: Which way.
    ///   - file: The file, open to be written or read; it stays the caller's.
    ///   - name: What the file is called in errors.
    ///   - kind: What it is.
    ///   - geometry: The disk.
    /// - Throws: `BlockError` of kind `image` when the one does not fit the other.
    public init(
        _ direction: Direction, file: FileDescriptor, named name: String = "the file",
        kind: FileKind = .file, geometry: DiskGeometry
    ) throws(BlockError) {
        self.direction = direction
        self.file = file
        self.name = name
        self.kind = kind
        switch direction {
        case .fromDisk: byteCount = geometry.byteCount
        case .toDisk:
            byteCount = try Self.length(of: file, name)
            let unit = UInt64(geometry.logicalSectorByteCount)
            guard byteCount <= geometry.byteCount, byteCount % unit == 0 else {
                throw BlockError(
                    .image,
                    "\(name) has \(byteCount) bytes and the disk \(geometry.byteCount) in sectors of "
                        + "\(unit): give a file of whole sectors that fits")
            }
        }
        try makeRoom()
    }

    /// Sees to it that a copy of the disk fits.
    private func makeRoom() throws(BlockError) {
        guard direction == .fromDisk else { return }
        switch kind {
        case .stream: break
        case .file:
            guard ftruncate(file.rawValue, Int(byteCount)) == 0 else {
                throw Self.failure("give \(name) its size", Errno(rawValue: errno))
            }
        case .blockDevice:
            let room = try Self.length(of: file, name)
            guard room >= byteCount else {
                throw BlockError(
                    .image,
                    "\(name) has \(room) bytes and the disk \(byteCount): give a device that is "
                        + "large enough")
            }
        }
    }

    private static func length(
        of file: FileDescriptor, _ name: String
    ) throws(BlockError) -> UInt64 {
        do {
            return UInt64(try file.seek(offset: 0, from: .end))
        } catch {
            throw failure("find out the size of \(name)", error as? Errno)
        }
    }

    private static func failure(_ what: String, _ reason: Errno?) -> BlockError {
        let advice =
            switch reason {
            case .noSpace?, .diskQuotaExceeded?: "free space, or copy elsewhere"
            case .fileTooLarge?: "raise the limit of file sizes, or copy elsewhere"
            case .brokenPipe?: "whoever was to read it has ended"
            case .ioError?: "its storage fails; see dmesg"
            default: "see to it"
            }
        return BlockError(
            .image, errno: reason,
            "cannot \(what): \(reason.map { "\($0)" } ?? "unknown reason"); \(advice)")
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
        let threadCount = kind == .stream ? 1 : Self.threadCount
        let results = await withTaskCancellationHandler {
            await withTaskGroup(of: Result<Void, BlockError>.self) { group in
                for _ in 0..<threadCount {
                    group.addTask {
                        let outcome = await BlockError.onThread("disk-copy") {
                            () throws(BlockError) in
                            try copy.copyPieces(disk, next, progress)
                        }
                        if case .failure = outcome { next.stop() }
                        return outcome
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
        } onCancel: {
            next.stop()
        }
        for result in results { try result.get() }
        guard next.isDone else { throw BlockError(.closed, "the copy was stopped before its end") }
        switch direction {
        case .toDisk: try await disk.flush()
        case .fromDisk:
            guard kind == .stream || fsync(file.rawValue) == 0 else {
                throw Self.failure("make \(name) durable", Errno(rawValue: errno))
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

    private func write(_ buffer: BlockBuffer, _ piece: Range<UInt64>) throws(BlockError) {
        try buffer.withBytes(0..<piece.count) { bytes throws(BlockError) in
            do throws(Errno) {
                switch kind {
                case .file: try writePages(bytes, at: Int64(piece.lowerBound))
                case .blockDevice: try writeOrZero(bytes, at: Int64(piece.lowerBound))
                case .stream: try bytes.writeAll(to: file)
                }
            } catch {
                throw Self.failure("write \(name) at byte \(piece.lowerBound)", error)
            }
        }
    }

    /// Writes what is not zero, page by page.
    private func writePages(_ bytes: RawSpan, at offset: Int64) throws(Errno) {
        var start = 0
        while start < bytes.byteCount {
            let end = min(start + pageByteCount, bytes.byteCount)
            let page = bytes.extracting(start..<end)
            if page.byteCount % 256 != 0 || !page.isZero {
                try page.writeAll(to: file, at: offset + Int64(start))
            }
            start = end
        }
    }

    /// Writes a piece of a block device, or has the device zero it.
    private func writeOrZero(_ bytes: RawSpan, at offset: Int64) throws(Errno) {
        let isZero = bytes.byteCount % 256 == 0 && bytes.isZero
        // The kernel zeroes what it punches out of a device; one that cannot refuses.
        if isZero, croost_punch_hole(file.rawValue, offset, Int64(bytes.byteCount)) == 0 { return }
        try bytes.writeAll(to: file, at: offset)
    }

    private func read(_ buffer: BlockBuffer, _ piece: Range<UInt64>) throws(BlockError) {
        let file = file
        try buffer.withMutableBytes(0..<piece.count) { bytes throws(BlockError) in
            do throws(Errno) {
                guard try bytes.readAll(from: file, at: Int64(piece.lowerBound)) else {
                    throw Errno.ioError
                }
            } catch {
                throw Self.failure("read \(name) at byte \(piece.lowerBound)", error)
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

    /// Whether every piece is.
    var isDone: Bool { done.load(ordering: .relaxed) >= end }

    /// Gives out no more pieces.
    func stop() { next.store(end, ordering: .relaxed) }
}
