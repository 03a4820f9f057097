internal import RoostMemory

/// What a worker needs to know of a port, in one word: its link-layer address and flags.
struct PortWord: BitwiseCopyable, Equatable, Sendable {
    static let existsBit: UInt64 = 1 << 48
    static let upBit: UInt64 = 1 << 49
    private static let kindShift: UInt64 = 56

    /// The address in bits 0 to 47, flags in 48 to 55, the kind above; 0 is no port.
    let rawValue: UInt64

    /// The router's link-layer address on the port.
    var mac: MACAddress { MACAddress(rawValue: rawValue) }
    /// Whether there is such a port.
    var exists: Bool { rawValue & Self.existsBit != 0 }
    /// Whether the port takes and gives frames.
    var isUp: Bool { rawValue & Self.upBit != 0 }
    /// What it is.
    var kind: PortKind { PortKind(rawValue: UInt8(rawValue >> Self.kindShift)) ?? .blackhole }

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    init(_ port: Port) {
        rawValue =
            port.mac.rawValue | Self.existsBit | (port.isUp ? Self.upBit : 0)
            | UInt64(port.kind.rawValue) << Self.kindShift
    }
}

/// The ports of a router by index: the processor writes, workers read.
///
/// A word is read alone. A worker that reads a port's word and then its MTU may find the port changed
/// in between, as if the frame had come earlier or later. An index is not given out again before the
/// caller says that nobody can still be reading it.
struct PortTable: ~Copyable {
    /// How many ports there are at most: ten for each of 400 guests.
    static let limit = 4_096

    /// What workers read.
    let view: PortView
    /// Of each index its port; nil is free.
    private var ports: [Port?]
    /// Removed ports' indices, which are not free before ``reclaim(_:)``.
    private var parked: Set<UInt16> = []

    /// Makes a table that has the blackhole alone.
    ///
    /// - Throws: `RouterError` of kind `memory`.
    init() throws(RouterError) {
        view = try PortView(limit: Self.limit)
        let blackhole = Port(
            name: "blackhole", kind: .blackhole, namespace: NamespaceIndex(rawValue: 0),
            mac: MACAddress(rawValue: 0), mtu: Port.mtuLimits.lowerBound)
        ports = [blackhole]
        view.publish(blackhole, at: .blackhole)
    }

    /// A port; nil where there is none.
    subscript(index: PortIndex) -> Port? {
        Int(index.rawValue) < ports.count ? ports[Int(index.rawValue)] : nil
    }

    /// The indices that have a port, the blackhole's first.
    var indices: [PortIndex] {
        ports.indices.filter { ports[$0] != nil }.map { PortIndex(rawValue: UInt16($0)) }
    }

    /// The port of a name in a namespace.
    func index(named name: String, in namespace: NamespaceIndex) -> PortIndex? {
        indices.dropFirst().first {
            self[$0]?.name == name && self[$0]?.namespace == namespace
        }
    }

    /// Adds a port.
    ///
    /// - Throws: `RouterError` of kind `invalidValue`, `exists` or `limit`.
    mutating func add(_ port: Port) throws(RouterError) -> PortIndex {
        try port.check()
        guard index(named: port.name, in: port.namespace) == nil else {
            throw RouterError(
                .exists, "cannot add port \(port.name): \(port.namespace) has one of that name")
        }
        let free = ports.indices.first { ports[$0] == nil && !parked.contains(UInt16($0)) }
        let place = free ?? ports.count
        guard place < Self.limit else {
            throw RouterError(
                .limit, "cannot add port \(port.name): there are \(Self.limit), remove one first")
        }
        if place == ports.count { ports.append(nil) }
        ports[place] = port
        let index = PortIndex(rawValue: UInt16(place))
        view.publish(port, at: index)
        return index
    }

    /// Sets a port up or down.
    ///
    /// - Returns: Whether it was otherwise before.
    mutating func setUp(_ isUp: Bool, _ index: PortIndex) -> Bool {
        guard index != .blackhole, var port = self[index], port.isUp != isUp else { return false }
        port.isUp = isUp
        ports[Int(index.rawValue)] = port
        view.publish(port, at: index)
        return true
    }

    /// Takes a port out.
    ///
    /// Its index stays taken until ``reclaim(_:)``.
    ///
    /// - Returns: The port, or nil when there is none or it is the blackhole.
    mutating func remove(_ index: PortIndex) -> Port? {
        guard index != .blackhole, let port = self[index] else { return nil }
        ports[Int(index.rawValue)] = nil
        parked.insert(index.rawValue)
        view.clear(index)
        return port
    }

    /// Lets the index of a removed port be used again: no worker's batch that began before it was
    /// removed still runs, and nothing names it.
    mutating func reclaim(_ index: PortIndex) {
        parked.remove(index.rawValue)
    }
}

/// What workers read of the ports.
final class PortView: Sendable {
    private let words: AtomicArray<UInt64>
    /// The MTU in bits 0 to 31, the namespace in 32 to 47.
    private let details: AtomicArray<UInt64>

    fileprivate init(limit: Int) throws(RouterError) {
        do {
            words = try AtomicArray(count: limit)
            details = try AtomicArray(count: limit)
        } catch {
            throw RouterError(error, for: "the table of \(limit) ports")
        }
    }

    /// A port's address and flags; no port's where there is none.
    func word(_ index: PortIndex) -> PortWord {
        guard Int(index.rawValue) < words.count else { return PortWord(rawValue: 0) }
        return PortWord(rawValue: words.acquire(Int(index.rawValue)))
    }

    /// The longest payload of a port's frames in bytes, 0 where there is no port.
    func mtu(_ index: PortIndex) -> Int {
        guard Int(index.rawValue) < details.count else { return 0 }
        return Int(details.acquire(Int(index.rawValue)) & 0xFFFF_FFFF)
    }

    /// Whose a port is.
    func namespace(_ index: PortIndex) -> NamespaceIndex {
        guard Int(index.rawValue) < details.count else { return NamespaceIndex(rawValue: 0) }
        let detail = details.acquire(Int(index.rawValue))
        return NamespaceIndex(rawValue: UInt16(truncatingIfNeeded: detail >> 32))
    }

    fileprivate func publish(_ port: Port, at index: PortIndex) {
        details.release(
            UInt64(port.mtu) | UInt64(port.namespace.rawValue) << 32, at: Int(index.rawValue))
        words.release(PortWord(port).rawValue, at: Int(index.rawValue))
    }

    fileprivate func clear(_ index: PortIndex) {
        words.release(0, at: Int(index.rawValue))
    }
}
