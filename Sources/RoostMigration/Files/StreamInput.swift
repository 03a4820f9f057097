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

    private let descriptor: FileDescriptor
    private let ownsDescriptor: Bool
    private var packed = ByteQueue(capacity: 1 << 20)
    private var unpacked = ByteQueue(capacity: 1 << 20)
    private var unpacker: Unpacker?
    private var isAtEnd = false

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
        name = path == "-" ? "standard input" : path
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
            throw MigrationError(
                .transfer, errno: error as? Errno,
                "cannot open \(path): \(error); check the name")
        }
    }

    deinit {
        if ownsDescriptor { try? descriptor.close() }
    }

    // MARK: Recognizing

    private mutating func recognize() throws(MigrationError) {
        try fill(atLeast: LibvirtHeader.byteCount)
        if let header = try LibvirtHeader(packed.bytes, name: name) {
            isLibvirtSave = true
            packed.removeFirst(LibvirtHeader.byteCount)
            var rest = header.dataByteCount
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
            try fill(atLeast: 4)
        }
        guard packed.count >= 4 else { return }
        let word = packed.bytes.loadBigEndian(at: 0, as: UInt32.self)
        packing = word >> 16 == 0x1f8b ? .gzip : word == 0x28b5_2ffd ? .zstd : .none
        unpacker = Unpacker(packing)
    }

    private mutating func fill(atLeast byteCount: Int) throws(MigrationError) {
        while packed.count < byteCount, !isAtEnd {
            do throws(Errno) {
                let count = try packed.fill(from: descriptor)
                position += UInt64(count)
                isAtEnd = count == 0
            } catch {
                throw MigrationError(.transfer, errno: error, "cannot read \(name): \(error)")
            }
        }
    }

    // MARK: Reading

    /// Reads on and gives a stream's reader what came.
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
        try next { bytes throws(MigrationError) in try reader.consume(bytes, into: &handler) }
    }

    /// Reads on and lends what came.
    ///
    /// - Parameter body: Is given a piece of the stream, unless there was none just now.
    /// - Returns: `false` at the end of the input.
    /// - Throws: As ``pump(into:_:)``, and what `body` throws.
    mutating func next(
        _ body: (RawSpan) throws(MigrationError) -> Void
    ) throws(MigrationError) -> Bool {
        try fill(atLeast: 1)
        guard packing != .none else {
            guard !packed.isEmpty else { return false }
            try body(packed.bytes)
            packed.removeAll()
            return true
        }
        guard
            try Self.unpack(
                name, packing, isAtEnd: isAtEnd, &unpacker, &packed, &unpacked)
        else { return false }
        try body(unpacked.bytes)
        unpacked.removeAll()
        return true
    }

    /// Unpacks what was read; `false` at the end of the input.
    private static func unpack(
        _ name: String, _ packing: Packing, isAtEnd: Bool, _ unpacker: inout Unpacker?,
        _ packed: inout ByteQueue, _ unpacked: inout ByteQueue
    ) throws(MigrationError) -> Bool {
        guard unpacker?.unpack(from: &packed, into: &unpacked) == true else {
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
}
