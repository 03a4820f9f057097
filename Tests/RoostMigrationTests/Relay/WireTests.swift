import RoostMemory
import StreamSupport
import TestSupport
import Testing

@_spi(Testing) @testable import RoostMigration

/// A frame as it was read, to be compared.
struct WireFrame: Equatable, CustomTestStringConvertible {
    let kind: WireFormat.Kind
    let payload: [UInt8]

    init(_ kind: WireFormat.Kind, _ payload: [UInt8] = []) {
        self.kind = kind
        self.payload = payload
    }

    var testDescription: String { "\(kind) \(payload.prefix(40))" }

    /// The frames of some bytes that come in pieces of the lengths given, over and over.
    static func read(
        _ bytes: [UInt8], pieces: [Int] = [.max]
    ) throws(MigrationError) -> [WireFrame] {
        var reader = FrameReader()
        var frames: [WireFrame] = []
        let all = unsafe bytes.span.bytes
        var position = 0
        var piece = 0
        while position < bytes.count {
            let length = min(pieces[piece % pieces.count], bytes.count - position)
            let end = position + min(length, reader.input.room)
            reader.input.append(all.extracting(position..<end))
            position = end
            piece += 1
            while let frame = try reader.next() {
                frames.append(
                    WireFrame(
                        frame.kind, [UInt8](copying: reader.input.bytes.extracting(frame.payload))))
            }
        }
        return frames
    }

    /// The bytes that a writer makes.
    static func bytes(_ body: (inout FrameWriter) -> Void) -> [UInt8] {
        var writer = FrameWriter()
        body(&writer)
        writer.close()
        return [UInt8](copying: writer.output.bytes)
    }
}

/// A page in a frame of pages, as it was read.
struct WirePage: Equatable {
    let code: WireFormat.PageCode
    let block: Int
    let offset: UInt64
    let count: Int
    let body: [UInt8]

    static func read(_ payload: [UInt8]) throws -> [WirePage] {
        var pages: [WirePage] = []
        let bytes = unsafe payload.span.bytes
        var cursor = SpanCursor(bytes)
        while let word = cursor.read(UInt64.self) {
            let (block, count) = (cursor.read(UInt16.self), cursor.read(UInt16.self))
            let code = try #require(WireFormat.PageCode(rawValue: word & 0xfff))
            let hasBody = code == .plain || code == .delta || code == .compressed
            let range = cursor.skip(hasBody ? Int(count ?? 0) : 0)
            let body = try #require(range)
            pages.append(
                WirePage(
                    code: code, block: Int(try #require(block)), offset: word & ~0xfff,
                    count: Int(try #require(count)),
                    body: [UInt8](copying: bytes.extracting(body))))
        }
        return pages
    }
}

extension FrameWriter {
    /// Writes a page, as a relay does.
    fileprivate mutating func page(
        _ kind: PageKind, block: Int, offset: UInt64, _ body: [UInt8]
    ) {
        page(
            PageRecord(kind: kind, block: block, offset: offset, streamOffset: 0, byteCount: 0),
            unsafe body.span.bytes)
    }
}

@Suite struct WireTests {
    static let blocks = [
        RAMBlockDescription(name: "pc.ram", usedByteCount: 64 << 12),
        RAMBlockDescription(
            name: "/rom@etc/acpi/tables", usedByteCount: 2 << 12, backingPageByteCount: 2 << 20),
    ]
    static let memory = SectionHeader(
        kind: .start, id: 2, name: "ram", instance: 0, version: 4, streamOffset: 0)

    /// A conversation with a frame of every kind that a relay sends.
    static func conversation(_ writer: inout FrameWriter) {
        writer.hello()
        stream(&writer)
    }

    /// What of it is the stream.
    static func stream(_ writer: inout FrameWriter) {
        writer.begin(streamVersion: 3)
        writer.frame(.configuration, unsafe ([0, 0, 0, 1, 0x70] as [UInt8]).span.bytes)
        writer.command(.openReturnPath, unsafe [UInt8]().span.bytes)
        writer.command(.ping, unsafe ([0, 0, 0, 1] as [UInt8]).span.bytes)
        writer.section(memory)
        writer.blocks(blocks)
        writer.frame(.endOfRecords)
        writer.endOfSection(2, hasFooter: true)
        writer.section(
            SectionHeader(
                kind: .end, id: 2, name: "ram", instance: 0, version: 4, streamOffset: 0))
        writer.page(.zero, block: 0, offset: 0, [0])
        writer.page(.zero, block: 0, offset: 4096, [0])
        writer.page(.zero, block: 1, offset: 4096, [7])
        writer.page(.delta, block: 0, offset: 4096, [0, 1, 9])
        writer.frame(.endOfRecords)
        writer.endOfSection(2, hasFooter: true)
        writer.frame(.opaque, unsafe ([0, 6, 0, 0, 0, 2, 0x7b, 0x7d] as [UInt8]).span.bytes)
        writer.end(0x1234, Digest128(high: 5, low: 7))
    }

    private static func number(_ value: UInt8) -> [UInt8] {
        [UInt8](repeating: 0, count: 7) + [value]
    }

    // MARK: The format

    /// The wire is ours: whoever changes these bytes gives it another version.
    @Test func `version 2 looks like this`() {
        #expect(WireFormat.version == 2)
        let head = WireFrame.bytes { writer in
            writer.hello()
            writer.acknowledge(0x0102_0304_0506_0708, byteCount: 0x090a_0b0c_0d0e_0f10)
        }
        #expect(
            head == [
                // type 1, three zeros, length 10, sequence 0, CRC-32
                0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x00, 0xc5, 0xba, 0xcf, 0x7d,
                // ROOSTMIG, version 2
                0x52, 0x4f, 0x4f, 0x53, 0x54, 0x4d, 0x49, 0x47, 0x00, 0x02,
                // type 13, check, length 16, sequence 1, CRC-32
                0x0d, 0x50, 0x59, 0xcc, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                0x00, 0x01, 0x96, 0x32, 0x7a, 0x82,
                // the sequence and the count that are acknowledged
                0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c,
                0x0d, 0x0e, 0x0f, 0x10,
            ])
    }

    @Test func `the payloads of version 2 look like this`() throws {
        let frames = try WireFrame.read(WireFrame.bytes(Self.conversation))
        let text = { (text: String) in Array(text.utf8) }
        var expected = [
            WireFrame(.hello, text("ROOSTMIG") + [0, 2]),
            WireFrame(.begin, [0, 0, 0, 3]),
            WireFrame(.configuration, [0, 0, 0, 1, 0x70]),
            WireFrame(.command, [0, 1]),
            WireFrame(.command, [0, 2, 0, 0, 0, 1]),
            WireFrame(.section, [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4] + text("ram")),
        ]
        let zeros = [UInt8](repeating: 0, count: 8)
        var list: [UInt8] = [0, 0, 2, 6] + text("pc.ram") + [0, 0, 0, 0, 0, 4, 0, 0]
        list += zeros + zeros + [20] + text("/rom@etc/acpi/tables")
        list += [0, 0, 0, 0, 0, 0, 0x20, 0] + [0, 0, 0, 0, 0, 0x20, 0, 0] + zeros
        expected += [
            WireFrame(.blocks, list),
            WireFrame(.endOfRecords),
            WireFrame(.endOfSection, [0, 0, 0, 2, 1]),
            WireFrame(.section, [3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4] + text("ram")),
            WireFrame(
                .pages,
                [
                    0, 0, 0, 0, 0, 0, 0x00, 0, 0, 0, 0, 2,  // two zero pages from 0 on
                    0, 0, 0, 0, 0, 0, 0x10, 4, 0, 1, 0, 7,  // a page of sevens
                    0, 0, 0, 0, 0, 0, 0x10, 2, 0, 0, 0, 3, 0, 1, 9,  // a delta
                ]),
            WireFrame(.endOfRecords),
            WireFrame(.endOfSection, [0, 0, 0, 2, 1]),
            WireFrame(.opaque, [0, 6, 0, 0, 0, 2, 0x7b, 0x7d]),
            WireFrame(.end, [0, 0, 0, 0, 0, 0, 0x12, 0x34] + Self.number(5) + Self.number(7)),
        ]
        #expect(frames == expected)
    }

    @Test func `every kind keeps its number`() {
        let kinds: [WireFormat.Kind] = [
            .hello, .ready, .begin, .configuration, .section, .blocks, .pages, .opaque,
            .endOfRecords, .endOfSection, .command, .end, .acknowledge, .answer,
        ]
        #expect(kinds.map(\.rawValue) == Array(1...14))
        let later: [WireFormat.Kind] = [
            .failed, .open, .beat, .prepared, .commit, .started, .unknown, .digests,
        ]
        #expect(later.map(\.rawValue) == Array(16...23))
        let codes: [WireFormat.PageCode] = [.zeroRun, .plain, .delta, .compressed, .fill]
        #expect(codes.map(\.rawValue) == Array(0...4))
    }

    // MARK: Writing

    @Test(arguments: UInt64(0)..<20)
    func `pages of every kind come out as they went in`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var pages: [(PageKind, Int, UInt64, [UInt8])] = []
        for _ in 0..<Int.random(in: 1...600, using: &random) {
            let kind = PageKind.allCases[Int.random(in: 0..<4, using: &random)]
            let count =
                switch kind {
                case .zero: 1
                case .plain: 4096
                case .delta: Int.random(in: 0...4096, using: &random)
                case .compressed: Int.random(in: 0...4110, using: &random)
                }
            let fill: UInt8 = kind == .zero ? 0 : UInt8.random(in: 0...255, using: &random)
            pages.append(
                (
                    kind, Int.random(in: 0..<3, using: &random),
                    UInt64.random(in: 0..<8, using: &random) << 12,
                    [UInt8](repeating: fill, count: count)
                ))
        }
        let written = pages
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            for (kind, block, offset, body) in written {
                writer.page(kind, block: block, offset: offset, body)
            }
        }
        var found: [(PageKind, Int, UInt64, [UInt8])] = []
        for frame in try WireFrame.read(bytes).dropFirst() {
            #expect(frame.kind == .pages)
            #expect(frame.payload.count <= WireFormat.payloadLimit)
            for page in try WirePage.read(frame.payload) {
                let kind: PageKind =
                    switch page.code {
                    case .zeroRun, .fill: .zero
                    case .plain: .plain
                    case .delta: .delta
                    case .compressed: .compressed
                    }
                for index in 0..<(page.code == .zeroRun ? page.count : 1) {
                    let body = page.code == .zeroRun ? [0] : page.body
                    found.append((kind, page.block, page.offset + UInt64(index) << 12, body))
                }
            }
        }
        #expect(found.count == pages.count)
        #expect(zip(found, pages).allSatisfy { $0 == $1 })
    }

    @Test(arguments: [1, 2, 65_534, 65_535, 65_536, 131_070, 131_071])
    func `a run of zero pages is one record up to its limit`(count: Int) throws {
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            for index in 0..<count {
                writer.page(.zero, block: 3, offset: UInt64(index) << 12, [0])
            }
        }
        let frames = try WireFrame.read(bytes)
        #expect(frames.count == 2)
        let pages = try WirePage.read(frames[1].payload)
        #expect(pages.map(\.count).reduce(0, +) == count)
        #expect(pages.count == (count + 65_534) / 65_535)
        #expect(pages.allSatisfy { $0.code == .zeroRun && $0.block == 3 })
    }

    @Test func `a run ends at another block, a gap, a page and a frame`() throws {
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            writer.page(.zero, block: 0, offset: 0, [0])
            writer.page(.zero, block: 0, offset: 0x1000, [0])
            writer.page(.zero, block: 1, offset: 0x2000, [0])
            writer.page(.zero, block: 1, offset: 0x4000, [0])
            writer.page(.zero, block: 1, offset: 0x5000, [1])
            writer.page(.zero, block: 1, offset: 0x6000, [0])
            writer.frame(.endOfRecords)
            writer.page(.zero, block: 1, offset: 0x7000, [0])
            writer.close()
            writer.page(.zero, block: 1, offset: 0x8000, [0])
        }
        let frames = try WireFrame.read(bytes)
        #expect(frames.map(\.kind) == [.hello, .pages, .endOfRecords, .pages, .pages])
        let pages = try frames.filter { $0.kind == .pages }.flatMap {
            try WirePage.read($0.payload)
        }
        #expect(pages.map(\.offset) == [0, 0x2000, 0x4000, 0x5000, 0x6000, 0x7000, 0x8000])
        #expect(pages.map(\.count) == [2, 1, 1, 1, 1, 1, 1])
        #expect(pages[3].code == .fill)
    }

    @Test func `a frame of pages is cut below the limit`() throws {
        let page = [UInt8](repeating: 5, count: 4096)
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            for index in 0..<520 {
                writer.page(.plain, block: 0, offset: UInt64(index) << 12, page)
            }
        }
        let frames = try WireFrame.read(bytes)
        #expect(frames.count == 4)
        #expect(frames.allSatisfy { $0.payload.count <= WireFormat.payloadLimit })
        #expect(frames[1].payload.count > WireFormat.payloadLimit - 3 * 4096)
    }

    @Test func `a sentence is cut to its limit`() throws {
        let bytes = WireFrame.bytes { $0.failed(String(repeating: "é", count: 4000)) }
        #expect(try WireFrame.read(bytes)[0].payload.count == WireFormat.messageLimit)
    }

    // MARK: Reading

    @Test(arguments: UInt64(0)..<40)
    func `frames come out of any pieces`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let longest = seed < 4 ? 1 : Int(1) << Int.random(in: 0...21, using: &random)
        let pieces = (0..<64).map { _ in Int.random(in: 1...longest, using: &random) }
        let large = [UInt8](repeating: 0xa5, count: WireFormat.payloadLimit)
        let bytes = WireFrame.bytes { writer in
            Self.conversation(&writer)
            if longest > 64 { writer.frame(.opaque, unsafe large.span.bytes) }
            writer.frame(.ready)
        }
        #expect(try WireFrame.read(bytes, pieces: pieces) == (try WireFrame.read(bytes)))
    }

    @Test func `a whole frame behind the one in hand is seen`() throws {
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            writer.frame(.ready)
            writer.frame(.beat)
        }
        var reader = FrameReader()
        reader.input.append(unsafe bytes.span.bytes.extracting(0..<bytes.count - 1))
        _ = try reader.next()
        let second = reader.hasWholeFrame
        _ = try reader.next()
        let third = reader.hasWholeFrame
        let (taken, start) = (reader.takenByteCount, reader.byteCount)
        #expect(second && !third)
        #expect(taken == 50 && start == 30)
    }

    /// A head that is damaged is not waited for.
    @Test func `a length that was turned over is refused at once`() throws {
        let bytes = WireFrame.bytes { writer in
            writer.hello()
            writer.frame(.opaque, unsafe [UInt8](repeating: 1, count: 100).span.bytes)
        }
        for place in 34..<38 {
            for bit in 0..<8 {
                var damaged = Array(bytes[..<50])
                damaged[place] ^= 1 << UInt8(bit)
                #expect(migrationError { _ = try WireFrame.read(damaged) }?.kind == .peer)
            }
        }
    }

    /// Every bit of a conversation turned over by itself: the frame it lies in is not handed out.
    @Test func `a byte that changed is refused`() throws {
        let bytes = WireFrame.bytes(Self.conversation)
        let sound = try WireFrame.read(bytes)
        for place in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[place] ^= 1 << UInt8(bit)
                let error = migrationError {
                    let frames = try WireFrame.read(damaged)
                    // A length that grew makes the reader wait for more, and hands out nothing.
                    #expect(frames.count < sound.count)
                    #expect(frames == Array(sound.prefix(frames.count)))
                }
                #expect(error == nil || error?.kind == .peer)
            }
        }
    }

    @Test func `frames that are left out, repeated or exchanged are refused`() throws {
        let all = WireFrame.bytes { writer in
            writer.hello()
            for _ in 0..<3 { writer.frame(.endOfRecords) }
        }
        let hello = Array(all[..<30])
        let (first, second, third) = (all[30..<50], all[50..<70], all[70..<90])
        let edits: [[UInt8]] = [
            hello + second + third, hello + first + first + second, hello + second + first,
        ]
        for edited in edits {
            let error = migrationError { _ = try WireFrame.read(edited) }
            #expect(error?.description.contains("out of sequence") == true)
        }
    }

    @Test(arguments: [
        (kind: WireFormat.Kind.hello, length: 9), (.hello, 4097), (.hello, 1 << 20),
        (.failed, 4097),
        (.failed, 0xffff_ffff), (.pages, 0), (.ready, 0), (.acknowledge, 8),
    ])
    func `before HELLO nothing else is taken`(kind: WireFormat.Kind, length: Int) {
        var head: [UInt8] = [kind.rawValue, 0, 0, 0]
        head += StreamEdit.integer(UInt32(truncatingIfNeeded: length))
        head += [UInt8](repeating: 0, count: 12)
        #expect(migrationError { _ = try WireFrame.read(head) }?.kind == .peer)
    }

    private static let wrongLengths: [(kind: WireFormat.Kind, length: Int)] = [
        (kind: WireFormat.Kind.ready, length: 1), (.begin, 3), (.begin, 5), (.section, 13),
        (.section, 269), (.endOfRecords, 1), (.endOfSection, 4), (.command, 1), (.command, 65_538),
        (.end, 23), (.acknowledge, 15), (.acknowledge, 17), (.answer, 0), (.answer, 65_537),
        (.open, 32), (.open, 34), (.beat, 1), (.prepared, 7), (.commit, 9), (.started, 1),
        (.unknown, 1), (.digests, 1 << 20 + 1), (.failed, 4097), (.pages, 1 << 20 + 1),
        (.opaque, 1 << 20 + 1),
        (.opaque, 0xffff_ffff), (.hello, 10),
    ]

    @Test(arguments: wrongLengths)
    func `a length that a kind cannot have is refused at once`(
        kind: WireFormat.Kind, length: Int
    ) {
        var bytes = WireFrame.bytes { $0.hello() }
        let check = WireFormat.check(
            kind.rawValue, length: UInt32(truncatingIfNeeded: length), sequence: 1)
        bytes += StreamEdit.integer(UInt32(kind.rawValue) << 24 | check)
        bytes += StreamEdit.integer(UInt32(truncatingIfNeeded: length))
        bytes += StreamEdit.integer(UInt64(1)) + [0, 0, 0, 0]
        let error = migrationError { _ = try WireFrame.read(bytes) }
        #expect(error?.kind == .peer)
        #expect(error?.description.contains("damaged head") == false)
    }

    @Test func `FAILED can come before HELLO`() throws {
        let bytes = WireFrame.bytes { $0.failed("no") }
        #expect(try WireFrame.read(bytes) == [WireFrame(.failed, Array("no".utf8))])
    }

    @Test(arguments: [[0, 1], [0, 3], [0, 3, 1, 2, 3, 4, 5, 6]] as [[UInt8]])
    func `another version is refused by its number`(version: [UInt8]) {
        var bytes = WireFrame.bytes { writer in
            writer.frame(.hello, unsafe (Array("ROOSTMIG".utf8) + version).span.bytes)
        }
        let error = migrationError { _ = try WireFrame.read(bytes) }
        #expect(
            error?.description.contains(
                "speaks version \(version[1]) of Roost's wire, this side 2") == true)
        bytes = WireFrame.bytes { writer in
            writer.frame(.hello, unsafe (Array("ROOSTMIX".utf8) + [0, 2]).span.bytes)
        }
        #expect(migrationError { _ = try WireFrame.read(bytes) }?.kind == .peer)
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n......", "QEVM"])
    func `what somebody else says is refused`(text: String) {
        let bytes = Array(text.utf8) + [UInt8](repeating: 0x20, count: 20)
        let error = migrationError { _ = try WireFrame.read(bytes) }
        #expect(error?.description.contains("is not Roost's wire") == true)
    }

    @Test func `a sentence cannot take over a terminal`() throws {
        let bytes = WireFrame.bytes { $0.failed("a\u{1b}[2Jb\nc\u{202e}d\u{85}é") }
        var reader = FrameReader()
        reader.input.append(unsafe bytes.span.bytes)
        let frame = try #require(try reader.next())
        let text = reader.text(of: frame)
        #expect(text == "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}é")
    }
}
