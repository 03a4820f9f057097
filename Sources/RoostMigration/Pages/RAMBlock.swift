/// A RAM block that a stream can be loaded into.
public struct RAMBlock: Sendable, Equatable {
    /// The block's id, such as `pc.ram`.
    public let name: String
    /// The length in use in bytes, a multiple of `pageByteCount`.
    public let usedByteCount: UInt64
    /// The most it can grow to in bytes: equal to the used length unless it is resizable.
    public let maximumByteCount: UInt64

    /// Describes a block.
    ///
    /// - Parameters:
    ///   - name: The id, 1 to 255 bytes.
    ///   - usedByteCount: The length in use in bytes, a multiple of `pageByteCount`.
    ///   - maximumByteCount: The most it can grow to; `nil` for a block of fixed length.
    public init(name: String, usedByteCount: UInt64, maximumByteCount: UInt64? = nil) {
        self.name = name
        self.usedByteCount = usedByteCount
        self.maximumByteCount = maximumByteCount ?? usedByteCount
    }
}
