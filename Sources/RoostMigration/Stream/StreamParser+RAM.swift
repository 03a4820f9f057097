internal import RoostMemory

extension StreamParser {
    // MARK: The block list

    /// The list that opens the memory: the announced total, then blocks until they add up.
    ///
    ///     be64 total | MEM_SIZE │ { u8 length, id │ be64 used length │ [be64 page size] │ [be64 gpa] }
    mutating func blockList<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        guard totalByteCount != nil else {
            guard bytes.byteCount - position >= 8 else { return 8 }
            let word = bytes.loadBigEndian(at: position, as: UInt64.self)
            guard word & StreamFormat.Flag.mask == StreamFormat.Flag.memorySize else {
                throw malformed("section ram does not begin with the list of RAM blocks")
            }
            let total = word & ~StreamFormat.Flag.mask
            guard total <= maximumRAMByteCount else {
                throw limit(Self.limitText(total, maximumRAMByteCount))
            }
            totalByteCount = total
            unlistedByteCount = total
            take(8, at: &position)
            return 0
        }
        guard unlistedByteCount > 0 else {
            try endList(into: &handler)
            return 0
        }
        return try blockEntry(bytes, at: &position)
    }

    private mutating func endList<Handler: StreamHandler & ~Copyable>(
        into handler: inout Handler
    ) throws(MigrationError) {
        state = .records
        guard let relisted = relisting else {
            return try handler.blocksListed(blocks.descriptions)
        }
        relisting = nil
        guard relisted.next >= relisted.count else {
            let name = blocks.descriptions[relisted.next].name
            throw malformed(
                "a further list of RAM blocks ends before block \(name), which was listed",
                named: name)
        }
        // What continues a block after it would continue none.
        lastBlock = -1
        try handler.blocksAdded(blocks.descriptions, from: relisted.count)
    }

    /// Begins a further list, which repeats the blocks and goes on with those that the guest was
    /// given meanwhile.
    private mutating func beginFurtherList(total: UInt64) throws(MigrationError) {
        guard total <= maximumRAMByteCount else {
            throw limit(Self.limitText(total, maximumRAMByteCount))
        }
        unlistedByteCount = total
        relisting = (next: 0, count: blocks.descriptions.count)
        state = .blockList
    }

    private static func limitText(_ total: UInt64, _ limit: UInt64) -> String {
        let advice =
            total <= StreamFormat.ramLimit
            ? "give --maximum-memory \(sizeText(total)) if the guest is that large"
            : "no guest is that large, the stream is damaged"
        return "the stream announces \(total) bytes of RAM, above the limit of \(limit): \(advice)"
    }

    private mutating func blockEntry(
        _ bytes: RawSpan, at position: inout Int
    ) throws(MigrationError) -> Int {
        var cursor = SpanCursor(bytes, at: position)
        guard let nameCount = cursor.read(UInt8.self), let name = cursor.readText(Int(nameCount)),
            let usedByteCount = cursor.read(UInt64.self)
        else { return cursor.needed - position }
        guard nameCount > 0 else { throw malformed("a RAM block without a name") }
        // A name that is no text cannot be written again as it was.
        guard bytes.spells(name, from: position + 1, count: Int(nameCount)) else {
            throw malformed("the name of RAM block \(name) is not UTF-8", named: name)
        }
        let repeats = relisting.map { $0.next < $0.count } ?? false
        guard
            repeats
                || blocks.index(named: bytes, from: position + 1, count: Int(nameCount)) == nil
        else { throw malformed("RAM block \(name) is listed twice", named: name) }
        guard usedByteCount <= unlistedByteCount else {
            throw malformed(
                "RAM block \(name) has \(usedByteCount) bytes, but only \(unlistedByteCount) of "
                    + "the announced total are left", named: name)
        }
        guard usedByteCount % UInt64(pageByteCount) == 0 else {
            throw malformed(
                "RAM block \(name) has \(usedByteCount) bytes, which are not whole pages of "
                    + "\(pageByteCount): the stream is damaged, or its target has smaller pages, "
                    + "which are not handled", named: name)
        }
        guard blocks.usedByteCounts.count < StreamFormat.blockLimit else {
            throw limit("more than \(StreamFormat.blockLimit) RAM blocks")
        }
        let isLast = usedByteCount == unlistedByteCount
        let carriesAddress = configuration?.capabilities.contains("x-ignore-shared") ?? false
        var pageSize: UInt64?
        if advisedPageSizes & ~UInt64(pageByteCount) != 0 {
            switch pageSizeFollows(
                bytes, at: cursor.position, isLast: isLast, carriesAddress: carriesAddress)
            {
            case .needs(let count): return cursor.position + count - position
            case .yes: pageSize = cursor.read(UInt64.self)
            case .no: break
            }
        }
        var address: UInt64?
        if carriesAddress {
            address = cursor.read(UInt64.self)
            guard address != nil else { return cursor.needed - position }
        }
        let block = RAMBlockDescription(
            name: name, usedByteCount: usedByteCount, backingPageByteCount: pageSize,
            guestAddress: address)
        if repeats, let index = relisting?.next {
            guard blocks.descriptions[index] == block else {
                throw malformed(
                    "a further list of RAM blocks has \(name) where "
                        + "\(blocks.descriptions[index].name) was listed, or another length",
                    named: name)
            }
        } else {
            blocks.append(block)
        }
        relisting?.next += 1
        unlistedByteCount -= usedByteCount
        take(cursor.position - position, at: &position)
        return 0
    }

    private enum Answer {
        case yes
        case no
        case needs(Int)
    }

    /// Whether an entry goes on with the page size of its backing, which nothing announces.
    ///
    /// It is a power of two that POSTCOPY_ADVISE named. Without addresses its first byte, zero,
    /// cannot begin the next name; with them, what comes eight bytes later decides.
    private func pageSizeFollows(
        _ bytes: RawSpan, at offset: Int, isLast: Bool, carriesAddress: Bool
    ) -> Answer {
        guard bytes.byteCount >= offset + 8 else { return .needs(8) }
        let value = bytes.loadBigEndian(at: offset, as: UInt64.self)
        guard value > UInt64(pageByteCount), value & (value - 1) == 0,
            advisedPageSizes & value != 0
        else { return .no }
        guard carriesAddress else { return .yes }
        guard bytes.byteCount >= offset + 16 else { return .needs(16) }
        let next = bytes.loadBigEndian(at: offset + 8, as: UInt64.self)
        if isLast {
            let ends =
                next == StreamFormat.Flag.endOfSection || next == StreamFormat.Flag.multifdFlush
            return ends ? .no : .yes
        }
        return next >> 56 == 0 ? .yes : .no
    }

    // MARK: Records

    /// The records of one section of memory, as many as lie in the bytes.
    ///
    ///     be64 offset | flags │ [u8 length, id] unless CONTINUE │ body
    mutating func records<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        while true {
            let available = bytes.byteCount &- position
            guard available >= 8 else { return 8 }
            let word = bytes.loadBigEndian(at: position, as: UInt64.self)
            let flags = word & StreamFormat.Flag.mask
            let offset = word & ~StreamFormat.Flag.mask
            let continues = flags & StreamFormat.Flag.continuation != 0
            let kind: PageKind
            var bodyCount: Int
            switch flags & ~StreamFormat.Flag.continuation {
            case StreamFormat.Flag.page: (kind, bodyCount) = (.plain, pageByteCount)
            case StreamFormat.Flag.zero: (kind, bodyCount) = (.zero, 1)
            case StreamFormat.Flag.xbzrle: (kind, bodyCount) = (.delta, 3)
            case StreamFormat.Flag.compressed: (kind, bodyCount) = (.compressed, 4)
            default:
                return try otherRecord(flags, offset, bytes, at: &position, into: &handler)
            }
            var headCount = 8
            var block = lastBlock
            if continues {
                guard block >= 0 else {
                    throw malformed(
                        "a page continues the block of an earlier one, and there is none")
                }
            } else {
                guard available >= 9 else { return 9 }
                let nameCount = Int(bytes.loadBigEndian(at: position &+ 8, as: UInt8.self))
                headCount = 9 &+ nameCount
                guard available >= headCount else { return headCount }
                let found = blocks.index(
                    named: bytes, from: position &+ 9, count: nameCount, hint: lastBlock)
                guard let found else {
                    throw unlisted(bytes, from: position &+ 9, count: nameCount)
                }
                block = found
            }
            // Offsets are whole pages, so a page that begins below the length ends below it.
            guard offset < blocks.usedByteCounts[block] else {
                throw malformed(
                    "the page lies outside the block, whose length is 0x"
                        + hex(blocks.usedByteCounts[block]),
                    block: block, blockOffset: offset)
            }
            guard available >= headCount &+ bodyCount else { return headCount &+ bodyCount }
            if kind == .delta || kind == .compressed {
                let head = bodyCount
                let length = try bodyLength(
                    kind, bytes, at: position &+ headCount, block: block, offset: offset)
                guard available >= headCount &+ head &+ length else {
                    return headCount &+ head &+ length
                }
                headCount &+= head
                bodyCount = length
            }
            let record = PageRecord(
                kind: kind, block: block, offset: offset, streamOffset: streamOffset,
                byteCount: headCount &+ bodyCount)
            let start = position &+ headCount
            try handler.page(record, bytes.extracting(start..<start &+ bodyCount))
            lastBlock = block
            take(headCount &+ bodyCount, at: &position)
        }
    }

    @inline(never)  // As `malformed`.
    private func unlisted(_ bytes: RawSpan, from start: Int, count: Int) -> MigrationError {
        let name = String(bytes, from: start, count: count)
        return malformed("a page of RAM block \(name), which is not in the list", named: name)
    }

    /// The length that a delta or a compressed page tells of its own body.
    private func bodyLength(
        _ kind: PageKind, _ bytes: RawSpan, at start: Int, block: Int, offset: UInt64
    ) throws(MigrationError) -> Int {
        if kind == .delta {
            let encoding = bytes.loadBigEndian(at: start, as: UInt8.self)
            guard encoding == StreamFormat.xbzrleEncoding else {
                throw malformed(
                    "a delta of unknown encoding \(encoding)", block: block, blockOffset: offset)
            }
            let length = Int(bytes.loadBigEndian(at: start &+ 1, as: UInt16.self))
            guard length <= pageByteCount else {
                throw malformed(
                    "a delta of \(length) bytes is longer than a page", block: block,
                    blockOffset: offset)
            }
            return length
        }
        let length = bytes.loadBigEndian(at: start, as: UInt32.self)
        guard length <= StreamFormat.compressedPageLimit else {
            throw malformed(
                "a compressed page of \(length) bytes, above zlib's bound of "
                    + "\(StreamFormat.compressedPageLimit)", block: block, blockOffset: offset)
        }
        return Int(length)
    }

    /// A record that is no page.
    @inline(never)  // Once a section.
    private mutating func otherRecord<Handler: StreamHandler & ~Copyable>(
        _ flags: UInt64, _ offset: UInt64, _ bytes: RawSpan, at position: inout Int,
        into handler: inout Handler
    ) throws(MigrationError) -> Int {
        switch flags {
        case StreamFormat.Flag.endOfSection,
            // QEMU takes the mixture, and nobody writes it.
            StreamFormat.Flag.endOfSection | StreamFormat.Flag.continuation:
            take(8, at: &position)
            state = .footer
            try handler.recordsEnded()
        case StreamFormat.Flag.multifdFlush:
            take(8, at: &position)
            usesMultifd = true
            try handler.multifdFlushed()
        case StreamFormat.Flag.hook:
            throw unsupported(
                "a HOOK record, which only RDMA migration uses: migrate over tcp or unix")
        case StreamFormat.Flag.memorySize:
            try beginFurtherList(total: offset)
            take(8, at: &position)
        default:
            if let size = otherPageByteCount(flags, bytes, at: position) {
                throw unsupported(Self.pageSizeText(size))
            }
            throw malformed("unknown combination of record flags 0x\(hex(flags))")
        }
        return 0
    }
}
