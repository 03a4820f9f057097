internal import RoostMemory

/// What a router looks for among an IPv4 packet's options (RFC 791, section 3.1).
struct IPv4Options: BitwiseCopyable, Equatable, Sendable {
    /// Types of options: the highest bit says that fragments copy it.
    enum Kind {
        /// End of the list.
        static let end: UInt8 = 0
        /// No operation, one byte.
        static let noOperation: UInt8 = 1
        /// Record route.
        static let recordRoute: UInt8 = 7
        /// Internet timestamp.
        static let timestamp: UInt8 = 68
        /// Loose source route.
        static let looseSourceRoute: UInt8 = 131
        /// Strict source route.
        static let strictSourceRoute: UInt8 = 137
        /// Router alert (RFC 2113).
        static let routerAlert: UInt8 = 148
    }

    /// Whether the sender chose routers to pass.
    private(set) var hasSourceRoute = false
    /// Whether routers are asked to look at the packet itself.
    private(set) var hasRouterAlert = false
    /// Where the list breaks off, counted from the header's start: the pointer of a Parameter
    /// Problem; nil when it is well formed.
    private(set) var malformedAt: UInt8?

    /// Walks the options of a packet.
    ///
    /// - Parameters:
    ///   - frame: The frame that the header was read from.
    ///   - header: The packet's header.
    init(_ frame: RawSpan, _ header: IPv4Header) {
        var position = header.offset + IPv4Header.minimumByteCount
        while position < header.payloadOffset {
            let kind = frame.loadBigEndian(at: position, as: UInt8.self)
            guard kind != Kind.end else { return }
            guard let length = Self.length(in: frame, at: position, before: header.payloadOffset)
            else {
                malformedAt = UInt8(truncatingIfNeeded: position - header.offset)
                return
            }
            switch kind {
            case Kind.looseSourceRoute, Kind.strictSourceRoute: hasSourceRoute = true
            case Kind.routerAlert: hasRouterAlert = true
            default: break
            }
            position += length
        }
    }

    /// How many bytes the option at a place has; nil when it has no length or passes the end.
    ///
    /// - Precondition: The place lies before the end, and the end in the frame.
    static func length(in frame: RawSpan, at position: Int, before end: Int) -> Int? {
        guard frame.loadBigEndian(at: position, as: UInt8.self) > Kind.noOperation
        else { return 1 }
        guard position + 1 < end else { return nil }
        let length = Int(frame.loadBigEndian(at: position + 1, as: UInt8.self))
        return length >= 2 && position + length <= end ? length : nil
    }
}
