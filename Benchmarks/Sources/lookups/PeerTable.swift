import CLookupPeers
import RoostRouter

/// DPDK's library of tables.
struct PeerLibrary {
    /// What it calls itself.
    let version: String

    /// Loads it, once in a process.
    init(path: String) throws {
        if let reason = unsafe clookup_open(path) {
            throw Failure("cannot load \(path): \(unsafe String(cString: reason))")
        }
        version = unsafe String(cString: clookup_version())
    }
}

/// A table of a peer.
final class PeerTable<Address: MeasuredAddress> {
    /// The kind, and how the tables show it.
    let kind: clookup_kind
    let name: String
    private let table: UInt
    /// What making it took of the peer's heap, in bytes.
    let createdBytes: UInt64
    private let bytesBefore: UInt64

    /// Makes a table for so many routes.
    init(_ kind: clookup_kind, named name: String, routes: Int) throws {
        self.kind = kind
        self.name = name
        bytesBefore = clookup_bytes()
        table = clookup_create(Int32(kind.rawValue), UInt32(routes))
        guard table != 0 else { throw Failure("\(name) cannot be made for \(routes) routes") }
        createdBytes = clookup_bytes() - bytesBefore
    }

    /// What it takes of the peer's heap, in bytes.
    var bytes: UInt64 { clookup_bytes() - bytesBefore }

    func add(_ routes: [clookup_route]) throws {
        guard unsafe clookup_add(Int32(kind.rawValue), table, routes, UInt32(routes.count)) == 0
        else { throw Failure("\(name) refuses a route") }
    }

    func remove(_ routes: [clookup_route]) throws {
        guard unsafe clookup_remove(Int32(kind.rawValue), table, routes, UInt32(routes.count)) == 0
        else { throw Failure("\(name) does not remove a route") }
    }

    func setVector(_ isVector: Bool) {
        clookup_vector(Int32(kind.rawValue), table, isVector ? 1 : 0)
    }

    /// The sum of what addresses find.
    func sum(_ addresses: PeerAddresses, isBulk: Bool) -> UInt64 {
        let bulk: Int32 = isBulk ? 1 : 0
        let kind = Int32(kind.rawValue)
        switch addresses {
        case .ipv4(let numbers):
            return unsafe clookup_sum4(kind, bulk, table, numbers, UInt32(numbers.count))
        case .ipv6(let bytes):
            return unsafe clookup_sum6(kind, bulk, table, bytes, UInt32(bytes.count / 16))
        }
    }

    deinit {
        clookup_free(Int32(kind.rawValue), table)
    }
}

/// Addresses as peers take them: numbers, or 16 bytes each.
enum PeerAddresses {
    case ipv4([UInt32])
    case ipv6([UInt8])

    init(_ addresses: [some MeasuredAddress]) {
        if let addresses = addresses as? [IPv4Address] {
            self = .ipv4(addresses.map(\.rawValue))
        } else {
            self = .ipv6(addresses.flatMap { networkBytes($0.halves) })
        }
    }
}

/// Routes as peers take them.
func peerRoutes<Address>(_ prefixes: [Prefix<Address>], _ hops: [UInt32]) -> [clookup_route] {
    zip(prefixes, hops).map { prefix, hop in
        var route = clookup_route()
        let halves = prefix.address.halves
        route.ipv4 = UInt32(truncatingIfNeeded: halves.low)
        let bytes = networkBytes(halves)
        unsafe withUnsafeMutableBytes(of: &route.ipv6) { target in
            for index in 0..<16 { unsafe target[index] = bytes[index] }
        }
        route.next_hop = hop
        route.length = UInt8(prefix.length)
        return route
    }
}

private func networkBytes(_ halves: (high: UInt64, low: UInt64)) -> [UInt8] {
    [halves.high, halves.low].flatMap { half in
        (0..<8).map { UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * $0)) }
    }
}
