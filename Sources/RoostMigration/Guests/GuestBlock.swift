internal import RoostGuest
internal import RoostMemory
internal import RoostSystem
public import SystemPackage

/// A RAM block of a guest that is another process.
public final class GuestBlock: Sendable {
    /// The block's name.
    public let name: String
    /// Its length in bytes, whole pages.
    public let byteCount: Int
    /// Where it lies in the guest's own addresses.
    public let baseAddress: UInt64
    private let file: OwnedDescriptor

    /// The memory file, to be mapped with a check of its seal; the block owns it.
    public var memoryFile: FileDescriptor { file.descriptor }

    /// Checks what a guest said.
    init(
        name: String, baseAddress: UInt64, byteCount: UInt64, file: consuming OwnedDescriptor
    ) throws(MigrationError) {
        let (end, overflow) = baseAddress.addingReportingOverflow(byteCount)
        guard byteCount > 0, byteCount % UInt64(pageByteCount) == 0,
            baseAddress % UInt64(pageByteCount) == 0, !overflow, end <= UInt64(Int.max)
        else {
            throw MigrationError(
                .guest, block: name,
                "the guest's block '\(name)' has \(byteCount) bytes at \(baseAddress): it must be "
                    + "whole pages")
        }
        self.name = name
        self.byteCount = Int(byteCount)
        self.baseAddress = baseAddress
        self.file = file
    }

    /// The guest's addresses of a part of the block.
    func addresses(_ bytes: Range<Int>) -> Range<UInt64> {
        baseAddress + UInt64(bytes.lowerBound)..<baseAddress + UInt64(bytes.upperBound)
    }
}
