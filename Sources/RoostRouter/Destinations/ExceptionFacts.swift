/// What was learned about one destination behind a next hop.
///
/// Each fact ends at a time of its own and leaves the others; a fact that is learned again while it
/// holds keeps the earlier end, so that nobody can keep one alive by repeating it.
struct ExceptionFacts: BitwiseCopyable, Equatable, Sendable {
    /// How long a redirect is believed, in milliseconds.
    static let redirectLifetime: UInt64 = 300_000
    /// How long a failure is, in milliseconds: long enough that a scan costs one resolution an
    /// address, short enough that a host that comes up is reached.
    static let failureLifetime: UInt64 = 3_000

    /// A path's MTU.
    struct MTU: BitwiseCopyable, Equatable, Sendable {
        var value: PathMTU.Value
        var expires: UInt64
    }

    /// A better next hop on the same link.
    struct Redirect: BitwiseCopyable, Equatable, Sendable {
        /// The next hop's address, as ``NetworkAddress/halves``.
        var high: UInt64
        var low: UInt64
        var neighbour: NeighbourHandle
        var expires: UInt64
    }

    /// A destination that cannot be reached.
    struct Failure: BitwiseCopyable, Equatable, Sendable {
        var error: DestinationError
        var expires: UInt64
    }

    /// What the operator wants of the destination.
    struct Policy: BitwiseCopyable, Equatable, Sendable {
        var action: DestinationAction
        var error: DestinationError
    }

    var mtu: MTU?
    var redirect: Redirect?
    var failure: Failure?
    var policy: Policy?

    /// Nothing.
    init() {}

    /// Whether nothing is known.
    var isEmpty: Bool { mtu == nil && redirect == nil && failure == nil && policy == nil }

    /// Whether all that is known is a failure, which is worth less than any other fact.
    var isOnlyFailure: Bool {
        failure != nil && mtu == nil && redirect == nil && policy == nil
    }

    /// When the first fact ends, nil if none does.
    var nextExpiry: UInt64? {
        [mtu?.expires, redirect?.expires, failure?.expires].compactMap(\.self).min()
    }

    /// Forgets what has ended.
    mutating func removeExpired(now: UInt64) {
        if let mtu, mtu.expires <= now { self.mtu = nil }
        if let redirect, redirect.expires <= now { self.redirect = nil }
        if let failure, failure.expires <= now { self.failure = nil }
    }

    /// Takes a path MTU in; the earlier end wins.
    mutating func learn(_ value: PathMTU.Value, now: UInt64) {
        let expires = now + PathMTU.lifetime
        mtu = MTU(value: value, expires: min(mtu?.expires ?? expires, expires))
    }

    /// Takes a failure in; the earlier end wins.
    mutating func learn(_ error: DestinationError, now: UInt64) {
        let expires = now + Self.failureLifetime
        failure = Failure(error: error, expires: min(failure?.expires ?? expires, expires))
    }
}

/// A destination behind a next hop.
struct ExceptionPlace: BitwiseCopyable, Hashable, Sendable {
    /// The next hop's shared entry.
    let nextHop: DestinationHandle
    /// The destination's family.
    let family: AddressFamily
    /// The destination, as ``NetworkAddress/halves``.
    let high: UInt64
    let low: UInt64

    init(nextHop: DestinationHandle, family: AddressFamily, high: UInt64, low: UInt64) {
        self.nextHop = nextHop
        self.family = family
        self.high = high
        self.low = low
    }

    init<Address: NetworkAddress>(nextHop: DestinationHandle, address: Address) {
        let halves = address.halves
        self.init(
            nextHop: nextHop, family: Address.bitWidth == 32 ? .ipv4 : .ipv6, high: halves.high,
            low: halves.low)
    }

    /// The place as the index and the order know it.
    var key: IndexKey { IndexKey(scope: nextHop.rawValue, high: high, low: low) }
}

/// What became of something learned.
enum ExceptionOutcome: Equatable, Sendable {
    /// There is an exception now.
    case learned
    /// There was one, and it says so now.
    case updated
    /// It changes nothing, or may not be believed.
    case ignored
    /// There is no room for it; what there was stays.
    case refused(ExceptionRefusal)
}

/// Why there is no room for an exception.
enum ExceptionRefusal: Int, CaseIterable, Equatable, Sendable {
    /// The next hop is no entry, or a killed one.
    case deadNextHop
    /// The namespace has as many entries as it may have.
    case entryQuota
    /// The namespace may have no exceptions, or those it has are all in use.
    case exceptionQuota
    /// The exceptions of the next hop are as many as may be, and in use.
    case nextHop
    /// The table of entries, of holders or of keys is full.
    case table
}
