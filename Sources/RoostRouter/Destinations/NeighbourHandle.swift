/// A neighbour by its place in the table of neighbours, as a destination entry keeps it.
public struct NeighbourHandle: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The place in the table; 0 is no neighbour.
    public let rawValue: UInt32

    /// A neighbour by its place.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// No neighbour: not resolved yet, or looked up a packet at a time.
    public static var none: NeighbourHandle { NeighbourHandle(rawValue: 0) }

    /// Whether it is no neighbour.
    public var isNone: Bool { rawValue == 0 }

    /// `neighbour 3`.
    public var description: String { "neighbour \(rawValue)" }
}
