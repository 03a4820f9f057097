internal import RoostMemory

/// What the IPv4 destinations of a batch's frames find, looked up together before any is decided about.
///
/// A lookup is a chain of loads that wait for one another; a batch's chains run side by side. It looks
/// at bytes that nobody has checked yet: what is no IPv4 packet finds something or nothing, and nobody
/// asks what.
struct BatchLookup: BitwiseCopyable {
    private var destinations = [64 of IPv4Address](repeating: IPv4Address(rawValue: 0))
    private var groups = [64 of UInt16](repeating: 0)

    /// What the packet in a slot finds, none where there is no route.
    subscript(slot: Int) -> PathGroupIndex { PathGroupIndex(rawValue: groups[slot]) }

    /// Looks all frames of a batch up; good until the ``Quiescence``'s batch ends.
    ///
    /// - Parameters:
    ///   - batch: The frames.
    ///   - namespace: In whose routes.
    ///   - reader: The routes.
    mutating func find(
        _ batch: inout FrameBatch, in namespace: NamespaceIndex, _ reader: ForwardingReader
    ) {
        let count = batch.count
        for slot in 0..<count {
            // Handed on at once: a constant would be put in memory of its own.
            destinations[slot] = Self.destination(of: batch.mutableFrame(slot))
        }
        var results = groups.mutableSpan
        reader.lookup(destinations.span.extracting(0..<count), in: namespace, into: &results)
    }

    /// What lies where a frame without tags has its packet's destination (RFC 791, section 3.1).
    @inline(__always)  // Once a packet.
    private static func destination(of frame: borrowing MutableRawSpan) -> IPv4Address {
        let offset = EthernetHeader.byteCount &+ 16
        guard frame.byteCount >= offset &+ 4 else { return IPv4Address(rawValue: 0) }
        return IPv4Address(rawValue: frame.bytes.loadBigEndian(at: offset, as: UInt32.self))
    }
}
