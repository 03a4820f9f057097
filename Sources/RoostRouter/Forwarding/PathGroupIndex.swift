/// What a route leads to: one or several next hops of equal cost, by its place in its namespace.
public struct PathGroupIndex: BitwiseCopyable, Hashable, Sendable {
    /// The place, 1 to 65,535; 0 is no route.
    public let rawValue: UInt16

    /// A group by its place.
    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// No route.
    public static var none: PathGroupIndex { PathGroupIndex(rawValue: 0) }

    /// Whether there is no route.
    @inlinable
    public var isNone: Bool { rawValue == 0 }
}
