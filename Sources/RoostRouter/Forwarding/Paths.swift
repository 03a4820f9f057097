internal import RoostMemory

/// What a path group leads to, as one word.
public struct Paths: BitwiseCopyable, Hashable, Sendable {
    let word: UInt32

    /// The destination, nil where flows are shared among several.
    @inline(__always)  // Once a packet.
    public var single: DestinationHandle? {
        word & PathGroups.bucketsFlag == 0 ? DestinationHandle(rawValue: word) : nil
    }
}

extension ForwardingReader {
    /// What a group leads to that a lookup in this batch found.
    @inline(__always)  // Once a packet.
    public func paths(of group: PathGroupIndex, in namespace: NamespaceIndex) -> Paths {
        let root = roots.acquire(
            Int(namespace.rawValue) &* TrieWord.rootStride &+ TrieWord.groupOffset)
        let mask = 1 &<< (root & TrieWord.orderMask) &- 1
        let place = UInt32(group.rawValue) & mask
        return Paths(word: words.acquire(Int(root & ~TrieWord.orderMask &+ place)))
    }

    /// Where a flow goes.
    ///
    /// - Parameters:
    ///   - paths: What was found in this batch.
    ///   - flowHash: A keyed hash of the flow; its highest seven bits count. Any number where there is one
    ///     path.
    /// - Returns: The destination.
    @inline(__always)  // Once a packet.
    public func destination(of paths: Paths, flowHash: UInt64) -> DestinationHandle {
        guard paths.word & PathGroups.bucketsFlag != 0 else {
            return DestinationHandle(rawValue: paths.word)
        }
        let bucket = UInt32(truncatingIfNeeded: flowHash &>> UInt64(64 &- PathBuckets.order))
        return DestinationHandle(
            rawValue: words.relaxed(Int(paths.word & ~PathGroups.bucketsFlag &+ bucket)))
    }
}

/// The hash that shares flows among equal paths: keyed, so that a guest cannot put all its flows, or those
/// of others, on one of them.
struct FlowHasher: Sendable {
    private let key: SipHashKey

    /// A hasher; routers in a row share flows well when their keys differ.
    init(key: SipHashKey = .random()) {
        self.key = key
    }

    /// The hash of a flow, the same for all its packets.
    ///
    /// - Parameters:
    ///   - source: The source address's halves.
    ///   - destination: The destination address's halves.
    ///   - transportProtocol: The IP protocol's number.
    ///   - ports: Source port in the upper half, destination port in the lower; 0 where there are none,
    ///     and for all fragments of a packet, of which only the first has them.
    /// - Returns: 64 bits that say nothing about the key.
    func hash(
        source: (high: UInt64, low: UInt64), destination: (high: UInt64, low: UInt64),
        transportProtocol: UInt8, ports: UInt32
    ) -> UInt64 {
        let from = key.hash(source.high, source.low, ports)
        let to = key.hash(destination.high, destination.low, UInt32(transportProtocol))
        return key.hash(from, to, 0)
    }
}

extension FlowHasher {
    /// The hash of a packet's flow.
    func hash(_ flow: FlowKey) -> UInt64 {
        hash(
            source: (flow.sourceHigh, flow.sourceLow),
            destination: (flow.destinationHigh, flow.destinationLow),
            transportProtocol: flow.protocolNumber, ports: flow.ports)
    }
}
