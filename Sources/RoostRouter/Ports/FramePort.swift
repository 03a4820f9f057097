internal import RoostMemory
internal import SystemPackage

/// How a port is, as far as its frames tell.
enum PortState: UInt8, BitwiseCopyable, Sendable {
    /// It takes and gives frames.
    case ready
    /// It takes none for now: its interface is down, or its peer not there yet.
    case down
    /// It will never take any again: its interface or its peer is no more. It is to be removed.
    case gone
}

/// What gives and takes frames.
///
/// Frames are whole Ethernet frames without their check sequence. Workers call it once a batch; one
/// worker receives, several may transmit at once. Nothing waits and nothing is allocated.
protocol FramePort: AnyObject, Sendable {
    /// Readable while there are frames, for a worker to wait for; nil where there is nothing to wait
    /// for. The port owns it.
    var descriptor: FileDescriptor? { get }

    /// What was counted of its frames.
    var counters: PortCounters { get }

    /// Adds the frames that have arrived to a batch, as far as there is room.
    ///
    /// Frames too short for an Ethernet header and those longer than the port's MTU allows are
    /// dropped and counted.
    ///
    /// - Parameters:
    ///   - batch: Where they go; its frame limit is at least the port's.
    ///   - worker: Whose counters are added to.
    /// - Returns: How the port is.
    func receive(into batch: inout FrameBatch, worker: Int) -> PortState

    /// Sends frames, in the order of their slots; what the port does not take is dropped and counted.
    ///
    /// - Parameters:
    ///   - slots: Which frames of the batch; each has a frame.
    ///   - batch: Where they lie.
    ///   - worker: Whose counters are added to.
    /// - Returns: How the port is.
    func transmit(_ slots: SlotSet, of batch: borrowing FrameBatch, worker: Int) -> PortState

    /// Tells the other end whether the cable is in.
    ///
    /// - Throws: `RouterError` of kind `port`.
    func setCarrier(_ isUp: Bool) throws(RouterError)
}

extension FramePort {
    /// Tells nobody, where there is no way to.
    func setCarrier(_ isUp: Bool) throws(RouterError) {}
}

/// How frames are judged by their length.
enum FrameLength {
    /// The Ethernet header: two addresses and the type (IEEE 802.3).
    static let header = 14
    /// The header with one VLAN tag: what an MTU is exceeded by at most.
    static let longestHeader = 18
}
