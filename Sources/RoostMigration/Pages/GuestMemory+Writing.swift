internal import RoostMemory
internal import RoostSystem

extension GuestMemory {
    /// Writes a block to a file, whose zero pages become holes, or to a pipe, zeros written out.
    func write(block: Int, to file: borrowing OutputFile) throws(MigrationError) {
        guard !file.isStream else { return try stream(block: block, to: file) }
        try file.reserve(blocks[block].usedByteCount)
        var next: UInt64 = 0
        while let offset = nextReceived(block: block, from: next) {
            try withPage(block: block, offset: offset) { page throws(MigrationError) in
                if !page.isZero { try file.write(page, at: offset) }
            }
            next = offset + UInt64(pageByteCount)
            if next % Self.cancellationPiece == 0 { try StreamTools.checkCancellation() }
        }
    }

    /// How many bytes are written between two looks at whether the task was cancelled.
    private static let cancellationPiece: UInt64 = 1 << 22

    private func stream(block: Int, to file: borrowing OutputFile) throws(MigrationError) {
        let byteCount = blocks[block].usedByteCount
        var queue = ByteQueue(capacity: 1 << 20)
        var offset: UInt64 = 0
        while offset < byteCount {
            // A page that was never named is zero, and costs no memory by being looked at.
            try withPage(block: block, offset: offset) { page throws(MigrationError) in
                try file.write(page, &queue)
            }
            offset += UInt64(pageByteCount)
            if offset % Self.cancellationPiece == 0 { try StreamTools.checkCancellation() }
        }
        try file.write(&queue)
    }

    /// The first page at or behind an offset of a block that a record has named.
    ///
    /// - Returns: Its offset in bytes; `nil` when there is none. The cost depends on the pages that
    ///   were not named by a sixty-fourth.
    func nextReceived(block: Int, from offset: UInt64) -> UInt64? {
        let start = starts[block] / pageByteCount
        let end = start + usedByteCounts[block] / pageByteCount
        let first = start + Int(offset / UInt64(pageByteCount))
        guard first < end, let page = received.first(in: first..<end) else { return nil }
        return UInt64(page - start) * UInt64(pageByteCount)
    }

    /// Writes every block to a file of its own in a folder.
    ///
    /// - Parameter folder: The folder, which must exist; a block's file is named after it, with
    ///   `_` for each `/`.
    /// - Throws: `MigrationError` of kind `transfer`, or `malformed` when a name cannot be a
    ///   file's or two blocks would have the same; nothing is written then.
    public func dump(to folder: String) throws(MigrationError) {
        var names: [String] = []
        for block in blocks {
            let name = String(block.name.map { $0 == "/" ? "_" : $0 })
            guard !name.utf8.contains(0), name != ".", name != "..", !names.contains(name) else {
                throw MigrationError(
                    .malformed, block: block.name,
                    "block \(block.name) cannot have a file \(name) of its own in \(folder)")
            }
            names.append(name)
        }
        for (index, name) in names.enumerated() where blocks[index].usedByteCount > 0 {
            let file = try OutputFile.open("\(folder)/\(name)", mayReplace: true)
            try write(block: index, to: file)
            try file.finish()
        }
    }
}
