internal import RoostMemory
internal import RoostSystem
public import SystemPackage

/// A RAM block with the memory file that holds it.
public struct MigratedBlock: Sendable {
    /// The block.
    public let block: RAMBlock
    /// A file of at least the block's maximum length, such as memfd_create(2) makes.
    ///
    /// It stays the caller's; what maps it keeps a reference of its own.
    public let memory: FileDescriptor
    /// Whether to refuse a file that another party could shrink, which would end this process at
    /// its next look behind the end.
    ///
    /// Only a file that nobody else can open may go without.
    public let requiresSeal: Bool

    /// Describes a block and where its memory is.
    ///
    /// - Parameters:
    ///   - block: The block.
    ///   - memory: A file of at least its maximum length, read from its start.
    ///   - requiresSeal: Whether to refuse a file without F_SEAL_SHRINK.
    public init(_ block: RAMBlock, memory: FileDescriptor, requiresSeal: Bool = true) {
        self.block = block
        self.memory = memory
        self.requiresSeal = requiresSeal
    }
}

/// A descriptor of a block's memory file, closed with its last reference.
final class MemoryFile: Sendable {
    let owned: OwnedDescriptor

    init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// The next piece of the file that takes memory; what lies between two pieces reads as zero.
    ///
    /// A file that cannot tell its holes is one piece.
    func data(in range: Range<Int>) -> Range<Int>? {
        do throws(Errno) {
            return try owned.descriptor.nextPopulated(in: range)
        } catch {
            return range
        }
    }
}
