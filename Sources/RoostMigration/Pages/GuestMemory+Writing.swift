internal import RoostMemory
internal import SystemPackage

extension GuestMemory {
    /// Writes a block to a file, whose zero pages become holes.
    func write(block: Int, to file: borrowing OutputFile) throws(MigrationError) {
        let byteCount = blocks[block].usedByteCount
        try file.setByteCount(byteCount)
        var offset: UInt64 = 0
        while offset < byteCount {
            let descriptor = file.descriptor
            let failure: Errno? = withPage(block: block, offset: offset) { page in
                guard isReceived(block: block, offset: offset), !page.isZero else { return nil }
                do throws(Errno) {
                    try page.writeAll(to: descriptor, at: Int64(offset))
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw file.failure(failure) }
            offset += UInt64(pageByteCount)
        }
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
            let file = try OutputFile(path: "\(folder)/\(name)")
            try write(block: index, to: file)
            try file.commit()
        }
    }
}
