@testable import RoostRouter

/// Clocks that move when the test says so.
final class ManualClock: CollectorClock {
    var now: UInt64 = 1000
    var thread: UInt64 = 0
    var wall: UInt64 = 0
    /// How much thread time each look at it takes.
    var threadStep: UInt64 = 0

    func ticks() -> UInt64 { now }

    func threadNanoseconds() -> UInt64 {
        thread += threadStep
        return thread
    }

    func wallNanoseconds() -> UInt64 { wall }
}

/// Operations that write down what they are asked.
struct RecordedOperations: DestinationOperations {
    struct Rehoming: Equatable {
        let neighbour: NeighbourHandle
        let port: PortIndex
        let loopback: PortIndex
    }

    var destroyed: [DestinationRemains] = []
    var interfaceDowns: [DestinationHandle] = []
    var rehomings: [Rehoming] = []
    /// When set, collecting answers this and does nothing.
    var refusal: Bool?
    var collections: [AddressFamily] = []

    mutating func collect(
        _ family: AddressFamily, for namespace: NamespaceIndex, in table: inout DestinationTable,
        now: UInt64
    ) -> Bool {
        collections.append(family)
        if let refusal { return refusal }
        return table.shrink(family, for: namespace, now: now, operations: &self)
    }

    mutating func destroy(_ remains: DestinationRemains) {
        destroyed.append(remains)
    }

    mutating func interfaceDown(_ entry: DestinationHandle, port: PortIndex, isRemoved: Bool) {
        interfaceDowns.append(entry)
    }

    mutating func rehome(_ neighbour: NeighbourHandle, from port: PortIndex, to loopback: PortIndex)
    {
        rehomings.append(Rehoming(neighbour: neighbour, port: port, loopback: loopback))
    }
}

/// All holders' records are taken.
struct NoRoomForHolder: Error {}

/// The names that these tests give to what is usual.
enum Lab {
    static let tenant = NamespaceIndex(rawValue: 1)
    static let neighbourTenant = NamespaceIndex(rawValue: 2)
    static let loopback = PortIndex(rawValue: 1)
    static let otherLoopback = PortIndex(rawValue: 2)
    static let port = PortIndex(rawValue: 3)
    static let otherPort = PortIndex(rawValue: 4)
    static let foreignPort = PortIndex(rawValue: 5)

    /// A table of two namespaces, the first with two ports, the second with one.
    static func table(
        _ change: (inout DestinationLimits) -> Void = { _ in },
        quiescence: Quiescence? = nil
    ) throws -> DestinationTable {
        var limits = DestinationLimits()
        limits.entryCount = 1024
        limits.holderCount = 1024
        change(&limits)
        var table = try DestinationTable(
            limits: limits, workerCount: 2,
            quiescence: try quiescence ?? Quiescence(readerLimit: 1))
        try table.addNamespace(tenant, loopback: loopback)
        try table.addNamespace(neighbourTenant, loopback: otherLoopback)
        try table.addPort(port, namespace: tenant)
        try table.addPort(otherPort, namespace: tenant)
        try table.addPort(foreignPort, namespace: neighbourTenant)
        return table
    }

    /// What an entry that forwards through a port is finished with.
    static func contents(
        through port: PortIndex = Lab.port, flags: DestinationFlags = [],
        neighbour: UInt32 = 0
    ) -> DestinationContents {
        var contents = DestinationContents()
        contents.port = port
        contents.input = .forward
        contents.output = .forward
        contents.flags = flags
        contents.neighbour = NeighbourHandle(rawValue: neighbour)
        return contents
    }
}

extension DestinationTable {
    /// An entry that forwards, in its table.
    mutating func makeEntry(
        _ contents: DestinationContents = Lab.contents(), in namespace: NamespaceIndex = Lab.tenant,
        now: UInt64 = 1000
    ) -> DestinationHandle {
        var operations = RecordedOperations()
        let handle = allocate(.ipv4, namespace: namespace, now: now, operations: &operations)
        if !handle.isNone { finish(handle, as: contents) }
        return handle
    }

    /// Takes a counted reference that the test gives back with ``give(_:)``.
    func take(
        _ handle: DestinationHandle, kind: HolderKind = .session, owner: UInt64 = 1
    ) throws -> HolderToken {
        guard let reference = slab.hold(handle, kind: kind, owner: owner, now: 0) else {
            throw NoRoomForHolder()
        }
        return reference.token()
    }

    /// Gives a reference back.
    func give(_ token: HolderToken) {
        slab.release(slab.reference(of: token))
    }

    /// Runs slices until nothing is due.
    ///
    /// - Returns: The passes that ended.
    @discardableResult
    mutating func run(_ clock: ManualClock, _ operations: inout RecordedOperations)
        -> [CollectorTrace]
    {
        var lines: [CollectorTrace] = []
        while true {
            switch collect(clock: clock, operations: &operations) {
            case .idle: return lines
            case .more: break
            case .passed(let line): lines.append(line)
            }
        }
    }

    /// Runs passes, each when it is due, until everything is freed or a number of them has run.
    mutating func settle(_ clock: ManualClock, _ operations: inout RecordedOperations) {
        for _ in 0..<8 {
            if let wake = nextWake { clock.now = max(clock.now, wake) }
            run(clock, &operations)
        }
    }
}
