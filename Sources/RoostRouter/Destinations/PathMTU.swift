/// What a "too big" message teaches about a path.
///
/// Such a message says what it likes: the rules bound what it can do. A path's MTU never rises by
/// one, IPv4's never falls below ``ipv4Floor``, IPv6's never below 1280.
enum PathMTU {
    /// The least MTU that is kept for IPv4; below it packets are fragmented instead, and the MTU is
    /// locked: an attacker who reports tiny MTUs makes no path slower than this.
    static let ipv4Floor: UInt16 = 552
    /// The least MTU of IPv6 (RFC 8200, section 5); reports below it are ignored (RFC 8201, section 4).
    static let ipv6Least: UInt16 = 1280
    /// The least MTU of IPv4 (RFC 791, section 3.2); a report below it is no report.
    static let ipv4Least: UInt16 = 68
    /// How long a learned MTU lives, in milliseconds: ten minutes, after which larger packets try
    /// again (RFC 1191, section 6.3; RFC 8201, section 4).
    static let lifetime: UInt64 = 600_000

    /// MTUs of the links there are, for routers that report none (RFC 1191, section 7.1, and 128).
    private static let plateaus: InlineArray<10, UInt16> = [
        32000, 17914, 8166, 4352, 2002, 1492, 576, 296, 216, 128,
    ]

    /// What is known of a path.
    struct Value: BitwiseCopyable, Equatable, Sendable {
        /// In bytes, with the network header.
        var byteCount: UInt16
        /// Whether it stays as it is until it expires.
        var isLocked: Bool
    }

    /// A "too big" message as it came.
    struct Report: BitwiseCopyable, Sendable {
        /// The MTU in the message; routers of before RFC 1191 send 0.
        var mtu: UInt32
        /// The total length in the quoted header, in bytes.
        var packetByteCount: UInt16
        /// The length of the quoted header, in bytes.
        var headerByteCount: UInt16
    }

    /// The path's MTU after a report.
    ///
    /// - Parameters:
    ///   - report: What came.
    ///   - current: What was known before.
    ///   - family: Of which addresses.
    /// - Returns: The new value, nil when the report changes nothing.
    static func learned(from report: Report, current: Value, family: AddressFamily) -> Value? {
        guard !current.isLocked else { return nil }
        switch family {
        case .ipv4:
            let mtu = believable(report, current: current.byteCount)
            guard mtu < current.byteCount else { return nil }
            return mtu < ipv4Floor
                ? Value(byteCount: min(ipv4Floor, current.byteCount), isLocked: true)
                : Value(byteCount: mtu, isLocked: false)
        case .ipv6:
            guard report.mtu >= ipv6Least, report.mtu < current.byteCount else { return nil }
            return Value(byteCount: UInt16(report.mtu), isLocked: false)
        }
    }

    /// The MTU an IPv4 message means: the one in it, or the plateau below the packet's length.
    private static func believable(_ report: Report, current: UInt16) -> UInt16 {
        if report.mtu >= ipv4Least && report.mtu < report.packetByteCount {
            return UInt16(report.mtu)
        }
        var length = report.packetByteCount
        // Systems derived from 4.2BSD add the header's length to the total length they quote; a packet
        // that fitted what was known of the path shows it.
        if report.mtu == 0 && length >= current && report.headerByteCount < length
            && length - report.headerByteCount >= ipv4Least
        {
            length -= report.headerByteCount
        }
        for index in plateaus.indices where plateaus[index] < length {
            return plateaus[index]
        }
        return ipv4Least
    }
}
