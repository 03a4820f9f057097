/// A destination entry by its place in the slab: what the packet path and the tables keep instead of
/// a reference to an object.
///
/// A handle is good inside the batch that found it and for as long as a counted reference is held; who
/// keeps one longer keeps a ``DestinationID``.
public struct DestinationHandle: BitwiseCopyable, Hashable, Sendable, CustomStringConvertible {
    /// The place in the slab; 0 is no entry.
    public let rawValue: UInt32

    /// An entry by its place.
    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// No entry.
    ///
    /// Reading it is harmless: it discards in both directions.
    public static var none: DestinationHandle { DestinationHandle(rawValue: 0) }

    /// Whether it is no entry.
    public var isNone: Bool { rawValue == 0 }

    /// `destination 3`.
    public var description: String { "destination \(rawValue)" }

    /// The handle as an index into the slab's arrays.
    internal var index: Int { Int(truncatingIfNeeded: rawValue) }
}

/// An entry together with the serial number of its place, which changes each time the place is used
/// again: what the control plane keeps outside the slab.
public struct DestinationID: BitwiseCopyable, Hashable, Sendable {
    /// The place in the slab.
    public let handle: DestinationHandle
    /// How often the place had been given back when the entry was made; it wraps.
    public let serial: UInt32

    /// An entry by its place and serial number.
    public init(handle: DestinationHandle, serial: UInt32) {
        self.handle = handle
        self.serial = serial
    }
}
