internal import RoostMemory
internal import SystemPackage

/// A stored stream: a file or the standard input, as it is or packed.
///
/// What packs it is told by its first bytes: gzip, zstd, or a libvirt save file around either or
/// neither. Bytes are read in order, in pieces of at most 1 MiB, so a pipe will do.
public struct StreamInput: ~Copyable {
    /// How the stream is packed.
    public enum Packing: String, Sendable {
        /// The stream itself.
        case none
        /// gzip, RFC 1952.
        case gzip
        /// zstd, RFC 8878.
        case zstd
    }

    /// What messages call the standard input.
    static let standardInputName = "standard input"

    /// The name to show in messages.
    public let name: String
    /// The file's size in bytes, where it has one.
    public let byteCount: UInt64?
    /// How many of the file's bytes have been read.
    public private(set) var position: UInt64 = 0
    /// How the stream is packed.
    public private(set) var packing = Packing.none
    /// Whether libvirt saved it.
    public private(set) var isLibvirtSave = false
    /// Bytes behind the packed data that are none of it, which the packing's own program ignores.
    public private(set) var ignoredByteCount: UInt64 = 0

    private let descriptor: FileDescriptor
    private let ownsDescriptor: Bool
    private var packed = ByteQueue(capacity: 1 << 20)
    private var unpacked = ByteQueue(capacity: 1 << 20)
    private var unpacker: Unpacker?
    private var isAtEnd = false
    /// Where what is packed begins in the file.
    private var packedOffset: UInt64 = 0
    /// Whether nothing was unpacked yet, so that the next bytes tell what is inside.
    private var isAtStart = true

    /// Opens a stream and looks at its first bytes.
    ///
    /// - Parameter path: The file, or `-` for the standard input.
    /// - Returns: The stream, at its start.
    /// - Throws: `MigrationError` of kind `transfer`, `unsupported` or `truncated`.
    public static func open(path: String) throws(MigrationError) -> StreamInput {
        var input = StreamInput(path, try descriptor(path))
        try input.recognize()
        return input
    }

    private init(_ path: String, _ descriptor: FileDescriptor) {
        name = path == "-" ? Self.standardInputName : path
        self.descriptor = descriptor
        ownsDescriptor = path != "-"
        let end = path == "-" ? 0 : (try? descriptor.seek(offset: 0, from: .end)) ?? 0
        byteCount = end > 0 ? UInt64(end) : nil
        if end > 0 { _ = try? descriptor.seek(offset: 0, from: .start) }
    }

    private static func descriptor(_ path: String) throws(MigrationError) -> FileDescriptor {
        guard path != "-" else { return .standardInput }
        do {
            return try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        } catch {
            throw failure("open", path, error as? Errno ?? .ioError)
        }
    }

    /// Why a file cannot be opened or read, and what to do about that.
    private static func failure(_ what: String, _ path: String, _ errno: Errno) -> MigrationError {
        let advice =
            switch errno {
            case .noSuchFileOrDirectory, .notDirectory, .fileNameTooLong: "; check the name"
            case .permissionDenied, .notPermitted:
                "; give this user the right to read it, or run as one who has it"
            case .isDirectory: "; give a file in it"
            case .tooManyOpenFiles: "; raise the limit on open files (ulimit -n)"
            default: ""
            }
        return MigrationError(
            .transfer, errno: errno, "cannot \(what) \(path): \(errno)\(advice)")
    }

    deinit {
        if ownsDescriptor { try? descriptor.close() }
    }

    // MARK: Recognizing

    private mutating func recognize() throws(MigrationError) {
        try fill(atLeast: LibvirtHeader.byteCount)
        guard !packed.isEmpty else {
            throw MigrationError(
                .truncated, "\(name) is empty: nothing was saved in it, save the guest again")
        }
        if let header = try LibvirtHeader(packed.bytes, name: name) {
            isLibvirtSave = true
            packedOffset = UInt64(LibvirtHeader.byteCount + header.dataByteCount)
            if let other = header.otherFormat {
                throw other.error(at: OtherFormat.Place(file: name, offset: packedOffset))
            }
            packed.removeFirst(LibvirtHeader.byteCount)
            try skip(header.dataByteCount)
            try fill(atLeast: 4)
        }
        guard packed.count >= 4 else { return }
        packing = Unpacker.packing(of: packed.bytes)
        unpacker = Unpacker(packing)
        guard packing == .none, !Self.isStream(packed.bytes) else { return }
        try fill(atLeast: OtherFormat.headByteCount)
        if let other = OtherFormat(packed.bytes) {
            throw other.error(at: OtherFormat.Place(file: name, offset: packedOffset))
        }
    }

    /// Passes over libvirt's description of the guest.
    private mutating func skip(_ byteCount: Int) throws(MigrationError) {
        var rest = byteCount
        while rest > 0 {
            if packed.isEmpty { try fill(atLeast: 1) }
            guard !packed.isEmpty else {
                throw MigrationError(
                    .truncated, "\(name) ends inside libvirt's description of the guest")
            }
            let taken = min(rest, packed.count)
            packed.removeFirst(taken)
            rest -= taken
        }
    }

    /// Whether bytes begin as a stream or as a channel beside one, of which its reader speaks.
    private static func isStream(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 4 else { return true }
        let word = bytes.loadBigEndian(at: 0, as: UInt32.self)
        return word == StreamFormat.magic || word == StreamFormat.multifdMagic
    }

    private mutating func fill(atLeast byteCount: Int) throws(MigrationError) {
        while packed.count < byteCount, !isAtEnd {
            do throws(Errno) {
                let count = try packed.fill(from: descriptor)
                position += UInt64(count)
                isAtEnd = count == 0
            } catch {
                throw Self.failure("read", name, error)
            }
        }
    }

    // MARK: Reading

    /// Reads on and gives a stream's reader what came.
    ///
    /// Behind the end of the stream, what is left of a file is counted without being read.
    ///
    /// - Parameters:
    ///   - reader: Takes the bytes.
    ///   - handler: Is told what they mean.
    /// - Returns: `false` at the end of the input.
    /// - Throws: `MigrationError` of kind `transfer`, `truncated` or `malformed` for the packing,
    ///   and what the reader and the handler throw.
    public mutating func pump<Handler: StreamHandler & ~Copyable>(
        into reader: inout StreamReader, _ handler: inout Handler
    ) throws(MigrationError) -> Bool {
        if reader.hasEnded, let rest = takeRest() {
            reader.skip(rest)
            return true
        }
        return try next { bytes throws(MigrationError) in
            try reader.consume(bytes, into: &handler)
        }
    }

    /// Passes over what is left of a file that is not packed.
    ///
    /// - Returns: How many bytes that was; `nil` where only reading can tell.
    private mutating func takeRest() -> UInt64? {
        guard packing == .none, !isAtEnd, let byteCount, byteCount >= position else { return nil }
        let rest = byteCount - position + UInt64(packed.count)
        packed.removeAll()
        position = byteCount
        isAtEnd = true
        return rest
    }

    /// Reads on and lends what came.
    ///
    /// - Parameter body: Is given a piece of the stream, unless there was none just now.
    /// - Returns: `false` at the end of the input.
    /// - Throws: As ``pump(into:_:)``, and what `body` throws.
    mutating func next(
        _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) -> Bool {
        guard packing != .none else {
            try fill(atLeast: 1)
            guard !packed.isEmpty else { return false }
            try body(packed.bytes)
            packed.removeAll()
            return true
        }
        // The head of a frame lies in one piece.
        try fill(atLeast: unpacker?.isBetweenFrames == false ? 1 : Unpacker.headByteCount)
        guard try unpack() else { return false }
        if isAtStart, !unpacked.isEmpty {
            isAtStart = false
            try refuseOther()
        }
        try body(unpacked.bytes)
        unpacked.removeAll()
        return true
    }

    /// Refuses what is no stream inside its packing.
    private func refuseOther() throws(MigrationError) {
        guard !Self.isStream(unpacked.bytes), let other = OtherFormat(unpacked.bytes) else {
            return
        }
        throw other.error(
            at: OtherFormat.Place(file: name, offset: packedOffset, packing: packing))
    }

    /// Unpacks what was read; `false` at the end of the input.
    private mutating func unpack() throws(MigrationError) -> Bool {
        switch Self.unpack(&unpacker, &packed, &unpacked, isAtEnd: isAtEnd) {
        case .unpacked: break
        case .other: try passOther()
        case .window(let byteCount): throw windowError(byteCount)
        case .corrupt:
            throw MigrationError(
                .malformed, "\(name) is damaged: its \(packing.rawValue) data cannot be decoded")
        }
        guard isAtEnd, packed.isEmpty, unpacked.isEmpty else { return true }
        guard unpacker?.isBetweenFrames == true else {
            throw MigrationError(
                .truncated, "\(name) ends inside its \(packing.rawValue) data: it was cut short")
        }
        return false
    }

    private static func unpack(
        _ unpacker: inout Unpacker?, _ packed: inout ByteQueue, _ unpacked: inout ByteQueue,
        isAtEnd: Bool
    ) -> Unpacker.Outcome {
        unpacker?.unpack(from: &packed, into: &unpacked, isAtEnd: isAtEnd) ?? .corrupt
    }

    /// Counts what follows whole data, which the packing's own program ignores as well.
    private mutating func passOther() throws(MigrationError) {
        guard !isAtStart || !unpacked.isEmpty else {
            // Only frames to skip came before it.
            if let other = OtherFormat(packed.bytes) {
                throw other.error(at: OtherFormat.Place(file: name, offset: packedOffset))
            }
            throw MigrationError(
                .malformed, "\(name) holds nothing but \(packing.rawValue) frames to be skipped")
        }
        ignoredByteCount += UInt64(packed.count)
        packed.removeAll()
        guard !isAtEnd, let byteCount, byteCount >= position else { return }
        ignoredByteCount += byteCount - position
        position = byteCount
        isAtEnd = true
    }

    private func windowError(_ byteCount: UInt64) -> MigrationError {
        let exponent = UInt64.bitWidth - (byteCount - 1).leadingZeroBitCount
        let advice =
            exponent <= 31
            ? "unpack it first: zstd --long=\(exponent) -dc \(name) > FILE"
            : "no zstd unpacks that, pack it again with --long=31 at most"
        return MigrationError(
            .limit,
            "\(name) is zstd data with a window of \(byteCount) bytes, more than the "
                + "\(ZstdDecoder.windowLimit) that are taken here: \(advice)")
    }
}
