import CPeers
public import RoostMemory
import RoostMigration

/// A migration stream of one block of RAM and nothing else, built in memory.
public struct RAMStream: ~Copyable {
    /// How the pages travel.
    public enum Encoding: Sendable {
        /// Each as its 4,096 bytes.
        case plain
        /// Each as zero.
        case zero
        /// Each as a delta against its content before the guest changed it.
        case delta
        /// Each as a zlib stream.
        case compressed
    }

    /// The number of the section, which a source chooses.
    private static let section: UInt32 = 2

    private var region: MappedRegion
    /// The stream's length in bytes.
    public private(set) var byteCount = 0
    /// Where the first page's record begins.
    public private(set) var firstRecord = 0

    /// The memory that holds the stream, which is a little longer.
    public var bytes: MappedRegion { _read { yield region } }

    /// Builds a stream.
    ///
    /// - Parameters:
    ///   - encoding: How the pages travel.
    ///   - pageCount: How many pages the block has.
    ///   - pages: The guest's pages.
    ///   - machine: The machine type to name.
    /// - Returns: The stream.
    /// - Throws: What the system says when there is no memory for it, or ``Disagreement`` for a
    ///   page that cannot be packed.
    public static func make(
        _ encoding: Encoding, pageCount: Int, of pages: inout GuestPages,
        machine: String = "pc-q35-7.2"
    ) throws -> RAMStream {
        // Beside the page a record holds 8 bytes, or 12 in front of zlib's own few.
        var stream = RAMStream(
            region: try .anonymous(byteCount: (pageCount + 64) * pageByteCount / 64 * 65))
        try stream.build(encoding, pageCount, &pages, machine)
        return stream
    }

    private init(region: consuming MappedRegion) {
        self.region = region
    }

    private mutating func build(
        _ encoding: Encoding, _ pageCount: Int, _ pages: inout GuestPages, _ machine: String
    ) throws {
        var writer = StreamWriter()
        writer.beginStream()
        writer.output.append(bigEndian: UInt8(0x07))
        writer.output.append(bigEndian: UInt32(machine.utf8.count))
        writer.output.append(utf8: machine)
        head(1, &writer)
        writer.output.append(bigEndian: UInt8(3))
        writer.output.append(utf8: "ram")
        writer.output.append(bigEndian: UInt32(0))
        writer.output.append(bigEndian: UInt32(4))
        writer.blocks(
            [
                RAMBlockDescription(
                    name: "pc.ram", usedByteCount: UInt64(pageCount * pageByteCount))
            ], flush: { _ in })
        end(&writer)
        head(2, &writer)
        firstRecord = writer.output.count
        for index in 0..<pageCount {
            try Self.write(index, encoding, &pages, to: &writer)
            if !writer.hasRoom { drain(&writer) }
        }
        end(&writer)
        head(3, &writer)
        end(&writer)
        writer.endStream()
        drain(&writer)
    }

    private func head(_ item: UInt8, _ writer: inout StreamWriter) {
        writer.output.append(bigEndian: item)
        writer.output.append(bigEndian: Self.section)
    }

    private func end(_ writer: inout StreamWriter) {
        writer.endRecords()
        writer.endSection(Self.section, hasFooter: true)
    }

    private static func write(
        _ index: Int, _ encoding: Encoding, _ pages: inout GuestPages, to writer: inout StreamWriter
    ) throws {
        let offset = UInt64(index * pageByteCount)
        switch encoding {
        case .plain:
            pages.withPage(index) { writer.plainPage(block: 0, offset: offset, $0) }
        case .zero: writer.zeroPage(block: 0, offset: offset)
        case .delta:
            let old = pages.withPage(index) { [UInt8]($0) }
            let new = pages.withPage(index, isChanged: true) { [UInt8]($0) }
            let delta = try Self.delta(old, new)
            unsafe writer.deltaPage(block: 0, offset: offset, delta.span.bytes)
        case .compressed:
            let packed = try pages.withPage(index) { try Self.pack($0) }
            unsafe writer.compressedPage(block: 0, offset: offset, packed.span.bytes)
        }
    }

    private static func delta(_ old: [UInt8], _ new: [UInt8]) throws -> [UInt8] {
        var delta = [UInt8](repeating: 0, count: pageByteCount)
        var span = delta.mutableSpan
        var room = unsafe span.mutableBytes
        let encoded = unsafe XBZRLE.encode(
            old: old.span.bytes, new: new.span.bytes, into: &room)
        guard case .delta(let count) = encoded else {
            throw Disagreement(description: "a page has no delta")
        }
        return Array(delta.prefix(count))
    }

    private static func pack(_ page: RawSpan) throws -> [UInt8] {
        var packed = [UInt8](repeating: 0, count: 2 * pageByteCount)
        let count = unsafe page.withUnsafeBytes { page in
            unsafe packed.withUnsafeMutableBytes { room in
                guard let from = page.baseAddress, let to = room.baseAddress else { return -1 }
                return unsafe Int(cpeers_deflate_page(from, to, room.count))
            }
        }
        guard count > 0 else { throw Disagreement(description: "a page cannot be packed") }
        return Array(packed.prefix(count))
    }

    private mutating func drain(_ writer: inout StreamWriter) {
        Self.copy(writer.output.bytes, to: &region, at: byteCount)
        byteCount += writer.output.count
        writer.output.removeAll()
    }

    /// Sends the stream, and waits until the peer has closed the connection.
    ///
    /// - Parameter socket: A connected socket.
    /// - Returns: 0 or a negated errno.
    public func send(to socket: Int32) -> Int32 {
        unsafe region.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return -1 }
            return unsafe cpeers_send_and_wait(socket, base, byteCount)
        }
    }

    private static func copy(_ bytes: RawSpan, to region: inout MappedRegion, at offset: Int) {
        var all = region.mutableBytes
        var part = all._mutatingExtracting(offset..<offset + bytes.byteCount)
        part.replaceAll(with: bytes)
    }
}

extension [UInt8] {
    fileprivate init(_ span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
