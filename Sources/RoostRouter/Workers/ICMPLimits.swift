/// A sort of ICMP or ICMPv6 message whose sending is limited.
enum ICMPErrorKind: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// Destination unreachable, but for "too big".
    case unreachable
    /// IPv4's "fragmentation needed" and IPv6's "packet too big".
    case packetTooBig
    /// The TTL or hop limit is used up.
    case timeExceeded
    /// A header that cannot be.
    case parameterProblem
    /// A better next hop.
    case redirect
}

/// How many ICMP messages a router sends.
struct ICMPLimits: Sendable {
    /// To one IPv4 destination: one a second, six at once.
    var ipv4Destination = TokenBucket.Pace(perSecond: 1, burst: 6)
    /// To one IPv6 destination: the example of RFC 4443, section 2.4 (f).
    var ipv6Destination = TokenBucket.Pace(perSecond: 10, burst: 10)
    /// For one namespace.
    var namespace = TokenBucket.Pace(perSecond: 1000, burst: 50)
    /// For the process: what 64 namespaces send at once.
    var process = TokenBucket.Pace(perSecond: 64_000, burst: 3200)
    /// How many destinations' rates a namespace has watched; the one unused longest makes room.
    var destinationsPerNamespace = 1024
    /// How many destinations' rates are watched in all: more than 1000 namespaces'.
    var destinations = 1 << 20
}

/// When a destination is told of a better next hop again.
///
/// It is told at growing intervals, since it may not listen: at once, then each time more than
/// 20 ms × 2ⁿ after the n-th message, and no more after the ninth until it has sent nothing that
/// deserved one for 20.48 s.
struct RedirectBackOff: BitwiseCopyable, Sendable {
    /// How many redirects are sent before silence.
    static let limit: UInt8 = 9
    /// The first interval, in milliseconds.
    static let load: UInt64 = 20
    /// How long a destination is quiet before it is told anew, in milliseconds.
    static let silence: UInt64 = load << 10

    private var sent: UInt8 = 0
    private var last: UInt64 = 0

    /// Whether a packet that deserves a redirect is answered by one now.
    mutating func permits(now: UInt64) -> Bool {
        if sent > 0 && now > last &+ Self.silence { sent = 0 }
        guard sent < Self.limit else {
            // A destination that goes on as before is still not listening.
            last = now
            return false
        }
        return sent == 0 || now > last &+ Self.load << UInt64(sent)
    }

    /// Counts a redirect that is sent.
    mutating func recordSent(now: UInt64) {
        sent += 1
        last = now
    }
}
