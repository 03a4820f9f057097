import TestSupport

@testable import RoostRouter

/// Routes in a plain list, in which the longest prefix is looked for one by one.
struct RouteOracle<Address: TrieAddress> {
    /// The next hop of each prefix.
    private(set) var routes: [(prefix: Prefix<Address>, destination: UInt32)] = []

    mutating func set(_ prefix: Prefix<Address>, to destination: UInt32) {
        remove(prefix)
        routes.append((prefix, destination))
    }

    mutating func remove(_ prefix: Prefix<Address>) {
        routes.removeAll { $0.prefix == prefix }
    }

    /// The next hop of the longest prefix that an address lies in, 0 if there is none.
    func destination(of address: Address) -> UInt32 {
        var found: (length: Int, destination: UInt32) = (-1, 0)
        for route in routes where route.prefix.length > found.length {
            if route.prefix.contains(address) { found = (route.prefix.length, route.destination) }
        }
        return found.destination
    }
}

/// A family as the tests make its addresses.
protocol SampledAddress: TrieAddress {
    /// An address from bits, the first ones highest.
    init(highest bits: UInt128)
    /// As many of the lengths as tests prefer: the edges, and those where levels of the tables end.
    static var edgeLengths: [Int] { get }
}

extension IPv4Address: SampledAddress {
    init(highest bits: UInt128) {
        self.init(rawValue: UInt32(truncatingIfNeeded: bits >> 96))
    }

    static var edgeLengths: [Int] { [0, 1, 7, 8, 9, 13, 14, 15, 24, 30, 31, 32] }
}

extension IPv6Address: SampledAddress {
    init(highest bits: UInt128) {
        self.init(
            high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }

    static var edgeLengths: [Int] { [0, 1, 8, 9, 14, 15, 32, 48, 63, 64, 65, 122, 127, 128] }
}

extension SampledAddress {
    /// The number whose highest bits are the address.
    private var number: UInt128 { UInt128(bits) << UInt128(128 - Bits.bitWidth) }

    /// A random address, near a few places so that prefixes nest and touch.
    static func sample(_ random: inout SeededRandom) -> Self {
        let places: [UInt128] = [0, 0x0A00 << 112, 0x2001_0DB8 << 96, .max]
        let place = places[Int.random(in: 0..<places.count, using: &random)]
        let low = UInt128(random.next()) << 64 | UInt128(random.next())
        // The place's first bits, then random ones.
        let kept = Int.random(in: 0...bitWidth, using: &random)
        return Self(highest: place ^ (kept == 128 ? 0 : low >> UInt128(kept)))
    }

    /// A random prefix: of a length of the edges, or of any.
    static func samplePrefix(_ random: inout SeededRandom) -> Prefix<Self> {
        let length =
            Bool.random(using: &random)
            ? edgeLengths[Int.random(in: 0..<edgeLengths.count, using: &random)]
            : Int.random(in: 0...bitWidth, using: &random)
        return Prefix(sample(&random), length: length)
    }

    /// The addresses in and beside a prefix's ends.
    static func edges(of prefix: Prefix<Self>) -> [Self] {
        let first = prefix.address.number
        let rest: UInt128 = prefix.length == 128 ? 0 : .max >> UInt128(prefix.length)
        let step: UInt128 = 1 << UInt128(128 - bitWidth)
        return [first, first | rest, first &- step, (first | rest) &+ step].map(Self.init(highest:))
    }
}
