public import RoostMemory
internal import SystemPackage

/// A block of memory that can move to another process.
///
/// Its bytes are in ``memory``, from offset 0 on. Only writes through this process's mapping are
/// noticed while the memory moves: not those of another process that maps the same file, nor
/// write(2) to the file itself.
public final class MovableBlock: Sendable {
    /// What the block is called at both ends.
    public let name: String
    /// The block's bytes.
    public let memory: MemorySpace
    let file: MemoryFile

    init(name: String, byteCount: Int) throws(GuestError) {
        let length = name.utf8.count
        guard (1...GuestProtocol.maximumNameByteCount).contains(length), !name.utf8.contains(0)
        else {
            throw GuestError(
                .block,
                "a block's name has 1 to \(GuestProtocol.maximumNameByteCount) bytes without a "
                    + "zero, and '\(name)' has \(length)")
        }
        do throws(MemoryError) {
            // memfd_create(2) takes 249 bytes.
            file = try MemoryFile.make(name: String(name.prefix(60)), byteCount: byteCount)
            memory = try MemorySpace(capacity: byteCount)
            try memory.addFile(
                file.descriptor, byteCount: byteCount, isWritable: true, requiresSeal: true)
        } catch {
            throw GuestError(error)
        }
        self.name = name
    }

    /// How many bytes it has.
    public var byteCount: Int { memory.byteCount }
}
