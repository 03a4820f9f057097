internal import RoostMemory

/// Decides which ICMP messages are sent (RFC 1812, section 4.3.2.8; RFC 4443, section 2.4 (f)).
///
/// A message needs a token of its destination, one of its namespace and one of the process; it takes
/// all three or none. Only "too big" gets the last quarter of a namespace's and the process's tokens:
/// without it connections hang, without others they only end later. How many tokens a full bucket
/// has differs each time by up to a quarter, so that nobody learns by counting messages what others
/// made the router send (CVE-2020-25705). Redirects back off by destination beside that.
///
/// A namespace that has no tokens left makes the router remember no destination. The processor's
/// thread owns it and gives it the time in milliseconds.
struct ICMPBudget: ~Copyable, Sendable {
    /// What is kept of a destination.
    struct Destination: BitwiseCopyable, Sendable {
        var key: IndexKey
        var errors: TokenBucket
        var redirects: RedirectBackOff
    }

    private static var namespaceCount: Int { Int(UInt16.max) + 1 }

    /// The rates.
    let limits: ICMPLimits
    private let index: KeyedIndex
    private var destinations: FixedArray<Destination>
    /// Of each namespace its destinations, the one unused longest first; the last list is of free
    /// places.
    private var uses: IndexedLists
    private var namespaces: FixedArray<TokenBucket>
    private var paces: FixedArray<TokenBucket.Pace>
    private var refusals: FixedArray<UInt64>
    private var process: TokenBucket
    private var random: KeyedRandom
    /// How many places were ever used.
    private var placeCount: UInt32 = 0

    /// Makes a budget of which nothing is spent.
    ///
    /// - Parameters:
    ///   - limits: The rates.
    ///   - now: The time.
    ///   - random: What the buckets' sizes differ by; only tests give one.
    /// - Throws: `RouterError` of kind `memory`.
    init(
        limits: ICMPLimits = ICMPLimits(), now: UInt64, random: KeyedRandom = KeyedRandom()
    ) throws(RouterError) {
        let index = try KeyedIndex(limit: limits.destinations)
        let uses = try IndexedLists(
            things: limits.destinations, lists: Self.namespaceCount + 1,
            of: "destinations of ICMP messages")
        do {
            let destinations = try FixedArray<Destination>(count: limits.destinations + 1)
            let namespaces = try FixedArray<TokenBucket>(count: Self.namespaceCount)
            let paces = try FixedArray<TokenBucket.Pace>(count: Self.namespaceCount)
            refusals = try FixedArray(count: Self.namespaceCount)
            self.destinations = destinations
            self.namespaces = namespaces
            self.paces = paces
        } catch {
            throw RouterError(error, for: "the rates of ICMP messages")
        }
        for number in 0..<Self.namespaceCount { paces[number] = limits.namespace }
        self.limits = limits
        self.index = index
        self.uses = uses
        self.random = random
        process = TokenBucket(limits.process, now: now)
    }

    /// How many messages of a namespace were not sent.
    func refused(to namespace: NamespaceIndex) -> UInt64 {
        refusals[Int(namespace.rawValue)]
    }

    /// How many destinations of a namespace are watched.
    func destinationCount(of namespace: NamespaceIndex) -> Int {
        uses.count(Int(namespace.rawValue))
    }

    /// Whether a message is sent; if so, its tokens are spent.
    ///
    /// - Parameters:
    ///   - kind: Which message.
    ///   - address: Whom it would go to: the source of the packet it is about.
    ///   - namespace: The namespace of both.
    ///   - now: The time.
    /// - Returns: Whether all tokens were there; if not, it is counted.
    mutating func permits<Address: NetworkAddress>(
        _ kind: ICMPErrorKind, to address: Address, in namespace: NamespaceIndex, now: UInt64
    ) -> Bool {
        let number = Int(namespace.rawValue)
        let isUrgent = kind == .packetTooBig
        refill(number, now: now)
        let ofNamespace = paces[number]
        guard namespaces[number].has(beside: isUrgent ? 0 : ofNamespace.burst / 4),
            process.has(beside: isUrgent ? 0 : limits.process.burst / 4),
            case let pace = Address.bitWidth == 32
                ? limits.ipv4Destination : limits.ipv6Destination,
            let place = place(
                of: IndexKey(
                    scope: UInt32(number) << 1 | (Address.bitWidth == 32 ? 0 : 1),
                    address: address),
                pace: pace, in: number, now: now)
        else { return refuse(number) }
        if kind == .redirect {
            guard destinations[place].redirects.permits(now: now) else { return refuse(number) }
            destinations[place].redirects.recordSent(now: now)
        } else {
            destinations[place].errors.refill(pace, now: now)
            guard destinations[place].errors.has() else { return refuse(number) }
            destinations[place].errors.take()
        }
        namespaces[number].take()
        process.take()
        return true
    }

    /// Gives a namespace a rate of its own.
    mutating func setPace(_ pace: TokenBucket.Pace, of namespace: NamespaceIndex) {
        paces[Int(namespace.rawValue)] = pace
    }

    /// Forgets a namespace's destinations, some at a time.
    ///
    /// - Parameters:
    ///   - namespace: A namespace that is going.
    ///   - budget: How many at most.
    /// - Returns: Whether none are left.
    mutating func forget(_ namespace: NamespaceIndex, budget: Int) -> Bool {
        let number = Int(namespace.rawValue)
        for _ in 0..<budget {
            let place = uses.first(number)
            if place == 0 { break }
            _ = index.remove(destinations[Int(place)].key)
            uses.append(place, to: Self.namespaceCount)
        }
        guard uses.first(number) == 0 else { return false }
        namespaces[number] = TokenBucket(TokenBucket.Pace(perSecond: 0, burst: 0), now: 0)
        refusals[number] = 0
        return true
    }

    /// Puts the tokens in that came, up to a size that differs each time.
    private mutating func refill(_ number: Int, now: UInt64) {
        let draw = random.next()
        let pace = paces[number]
        namespaces[number].refill(
            pace, missing: Self.share(draw >> 32, of: pace.burst / 4), now: now)
        process.refill(
            limits.process, missing: Self.share(draw & 0xFFFF_FFFF, of: limits.process.burst / 4),
            now: now)
    }

    /// A number from 0 to a bound, from 32 random bits.
    private static func share(_ bits: UInt64, of bound: UInt32) -> UInt32 {
        UInt32((bits * (UInt64(bound) + 1)) >> 32)
    }

    private mutating func refuse(_ number: Int) -> Bool {
        refusals[number] &+= 1
        return false
    }

    /// Where a destination is kept, in a new place or in that of its namespace's oldest if need be.
    private mutating func place(
        of key: IndexKey, pace: TokenBucket.Pace, in number: Int, now: UInt64
    ) -> Int? {
        if case let place = index.find(key), place != 0 {
            uses.append(place, to: number)
            return Int(place)
        }
        guard let place = freePlace(in: number), index.insert(key, handle: place) == .inserted
        else { return nil }
        destinations[Int(place)] = Destination(
            key: key, errors: TokenBucket(pace, now: now), redirects: RedirectBackOff())
        uses.append(place, to: number)
        return Int(place)
    }

    private mutating func freePlace(in number: Int) -> UInt32? {
        if uses.count(number) < limits.destinationsPerNamespace {
            if case let free = uses.first(Self.namespaceCount), free != 0 { return free }
            if Int(placeCount) < limits.destinations {
                placeCount += 1
                return placeCount
            }
        }
        let oldest = uses.first(number)
        guard oldest != 0 else { return nil }
        _ = index.remove(destinations[Int(oldest)].key)
        return oldest
    }
}
