internal import Glibc
@_spi(Fuzzing) internal import RoostBlock
@_spi(Fuzzing) internal import RoostHypervisor
internal import RoostMemory
internal import RoostMigration
@_spi(Fuzzing) internal import RoostRouter

/// libFuzzer's entry: the first byte says what the others are given to.
///
///     0  a stored stream, by way of a file: packing, libvirt's head, reader, loader, tail, report
///     1  a stream in pieces, each as long as a byte of its own says, into a guest's own blocks
///     2  an XBZRLE delta, or a page to be encoded against another and decoded again
///     3  a request of a disk's ring in both layouts, and a page of indirect segments, checked
///     4  a connection of an ordinary domain to a store
///     5  a frame: read in every way, forwarded, fragmented, answered with errors, described
///
/// Whatever the bytes are, this returns; what does not hold traps.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    // SAFETY: libFuzzer lends `count` bytes for the call.
    let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
    guard let choice = bytes.first else { return 0 }
    let rest = Array(bytes.dropFirst())
    switch choice % 6 {
    case 0: fuzzStoredStream(rest)
    case 1: fuzzPieces(rest)
    case 2: fuzzDelta(rest)
    case 3: RequestFuzzing.check(rest)
    case 4: StoreFuzzing.check(rest)
    default: PacketFuzzing.check(rest)
    }
    return 0
}

/// The most memory that a stream may announce here; a file's worth of pages is far less.
private let memoryLimit: UInt64 = 64 << 20

private func fuzzStoredStream(_ bytes: [UInt8]) {
    let file = StoredInput.shared
    file.replace(with: bytes)
    do throws(MigrationError) {
        let report = try StreamTools.verify(path: file.path, maximumRAMByteCount: memoryLimit) {
            _ in
        }
        precondition(report.trailingByteCount >= 0)
    } catch {
        precondition(!error.description.isEmpty)
    }
}

/// One file, rewritten for each input: an input is opened by its path in /proc.
private final class StoredInput: Sendable {
    static let shared = StoredInput()
    private let descriptor: Int32
    let path: String

    private init() {
        // memfd_create cannot be called from Swift; a file without a name serves as well.
        guard let file = unsafe tmpfile() else { fatalError("cannot make a file") }
        descriptor = unsafe fileno(file)
        path = "/proc/self/fd/\(descriptor)"
    }

    func replace(with bytes: [UInt8]) {
        precondition(ftruncate(descriptor, 0) == 0)
        let written = unsafe bytes.withUnsafeBytes {
            unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0)
        }
        precondition(written == bytes.count)
    }
}

/// Loads into blocks of its own, as a destination does.
private struct Destination: StreamHandler, ~Copyable {
    var memory: GuestMemory
    private(set) var hasBlocks = false

    init() throws(MigrationError) {
        memory = try GuestMemory(
            blocks: [
                RAMBlock(name: "pc.ram", usedByteCount: 4160 << 10),
                RAMBlock(
                    name: "/rom@etc/acpi/tables", usedByteCount: 128 << 10,
                    maximumByteCount: 2 << 20),
                RAMBlock(name: "pc.rom", usedByteCount: 128 << 10),
                RAMBlock(name: "pc.bios", usedByteCount: 64 << 10),
                RAMBlock(
                    name: "/rom@etc/table-loader", usedByteCount: 4096, maximumByteCount: 64 << 10),
                RAMBlock(name: "/rom@etc/acpi/rsdp", usedByteCount: 4096),
            ], maximumByteCount: memoryLimit)
    }

    mutating func blocksListed(_ blocks: [RAMBlockDescription]) throws(MigrationError) {
        try memory.match(blocks)
        hasBlocks = true
    }

    mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        precondition(hasBlocks)
        try memory.apply(record, body)
        precondition(memory.isReceived(block: record.block, offset: record.offset))
    }

    mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }

    // Only memory is loaded here; the reader is what is tried.
    mutating func streamBegan(version: UInt32) {}
    mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}
    mutating func sectionBegan(_ section: SectionHeader) {}
    mutating func multifdFlushed() {}
    mutating func recordsEnded() {}
    mutating func opaque(_ bytes: RawSpan) {}
    mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
    mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}
    mutating func tail(_ bytes: RawSpan) {}
}

private func fuzzPieces(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let stream = bytes.dropFirst()
    do throws(MigrationError) {
        var destination = try Destination()
        var reader = StreamReader(maximumRAMByteCount: memoryLimit)
        let all = unsafe bytes.span.bytes
        var position = stream.startIndex
        var length = Int(first)
        while position < bytes.count {
            let end = min(position + 1 + length, bytes.count)
            try reader.consume(all.extracting(position..<end), into: &destination)
            // The next length follows from what was read, so the pieces vary.
            length = (length &* 31 &+ Int(bytes[position])) & 0x3ff
            position = end
        }
        let tail = try reader.finish()
        precondition(tail.trailingByteCount <= tail.byteCount)
    } catch {
        precondition((error.streamOffset ?? 0) <= UInt64(bytes.count))
    }
}

private func fuzzDelta(_ bytes: [UInt8]) {
    guard var base = try? MappedRegion.anonymous(byteCount: 3 * pageByteCount) else { return }
    applyDelta(bytes, to: &base)
    encodeAndDecode(bytes, with: &base)
}

/// Bytes as a delta, onto the middle of three pages: the others stay as they were.
private func applyDelta(_ bytes: [UInt8], to region: inout MappedRegion) {
    var page = region.mutablePage(at: pageByteCount)
    try? XBZRLE.decode(unsafe bytes.span.bytes, onto: &page)
    for guarding in [0, 2 * pageByteCount] {
        let isUntouched = region.page(at: guarding).isZero
        precondition(isUntouched, "a delta wrote outside its page")
    }
}

/// Bytes as the changes to a page: what is encoded decodes to the page again.
private func encodeAndDecode(_ bytes: [UInt8], with region: inout MappedRegion) {
    let old = [UInt8](copying: region.page(at: pageByteCount))
    var new = old
    var position = 0
    for byte in bytes {
        position = (position + Int(byte & 0x3f)) % pageByteCount
        new[position] ^= byte
    }
    var encoded = XBZRLE.Encoded.unchanged
    do {
        var output = region.mutablePage(at: 0)
        encoded = XBZRLE.encode(
            old: unsafe old.span.bytes, new: unsafe new.span.bytes, into: &output)
    }
    switch encoded {
    case .unchanged: precondition(old == new)
    case .overflow: break
    case .delta(let count):
        let delta = Array([UInt8](copying: region.page(at: 0))[..<count])
        var page = region.mutablePage(at: pageByteCount)
        do throws(XBZRLE.Malformed) {
            try XBZRLE.decode(unsafe delta.span.bytes, onto: &page)
        } catch {
            fatalError("what was encoded cannot be decoded: \(error)")
        }
        precondition([UInt8](copying: region.page(at: pageByteCount)) == new)
    }
}

extension [UInt8] {
    /// A copy of a span.
    fileprivate init(copying span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
