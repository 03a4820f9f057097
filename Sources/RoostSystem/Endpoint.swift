internal import CRoost

/// Where a process listens: a path or a host's port.
package enum Endpoint: Equatable, Hashable, Sendable {
    /// A unix socket's path.
    case unix(path: String)
    /// A port of a host, which is a name or a numeric address without brackets.
    case tcp(host: String, port: UInt16)

    /// The most bytes of a unix socket's path (unix(7): `sun_path`).
    package static let maximumPathByteCount = Int(CROOST_UNIX_PATH_BYTES)

    /// The most bytes of a host's name (RFC 1035, section 2.3.4).
    package static let maximumHostByteCount = 255

    /// Reads an endpoint as people write it: `unix:PATH`, `tcp:HOST:PORT` or `tcp:[ADDRESS]:PORT`.
    ///
    /// - Throws: `SystemError` of kind `address`.
    package init(_ text: String) throws(SystemError) {
        if text.hasPrefix("unix:") {
            self = .unix(path: String(text.dropFirst(5)))
        } else if text.hasPrefix("tcp:") {
            self = try Self.tcp(from: text.dropFirst(4), in: text)
        } else {
            throw SystemError(
                .address, "'\(text)' names no endpoint: write unix:PATH or tcp:HOST:PORT")
        }
        try check()
    }

    private static func tcp(
        from rest: Substring, in text: String
    ) throws(SystemError) -> Endpoint {
        guard let colon = rest.lastIndex(of: ":") else {
            throw SystemError(.address, "'\(text)' has no port: write tcp:HOST:PORT")
        }
        var host = rest[..<colon]
        let digits = rest[rest.index(after: colon)...]
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), let port = UInt16(digits)
        else {
            throw SystemError(
                .address, "'\(digits)' in '\(text)' is no port: give a number from 0 to 65535")
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(where: { ":[]".contains($0) }) {
            throw SystemError(
                .address,
                "'\(host)' in '\(text)' is no host: put an IPv6 address in brackets, "
                    + "as in tcp:[::1]:4444")
        }
        return .tcp(host: String(host), port: port)
    }

    /// Refuses what no socket can be called.
    ///
    /// - Throws: `SystemError` of kind `address`.
    package func check() throws(SystemError) {
        switch self {
        case .unix(let path):
            guard !path.isEmpty, !path.utf8.contains(0) else {
                throw SystemError(.address, "a unix socket needs a path: write unix:PATH")
            }
            guard path.utf8.count <= Self.maximumPathByteCount else {
                throw SystemError(
                    .address,
                    "the path '\(path)' has \(path.utf8.count) bytes and a unix socket's at most "
                        + "\(Self.maximumPathByteCount): use a shorter one")
            }
        case .tcp(let host, _):
            guard !host.isEmpty, host.utf8.count <= Self.maximumHostByteCount,
                !host.utf8.contains(0)
            else {
                throw SystemError(
                    .address,
                    "'\(host)' is no host: give a name or an address, 0.0.0.0 to listen on all")
            }
        }
    }
}

extension Endpoint: CustomStringConvertible {
    /// The endpoint as people write it; ``init(_:)`` reads it back.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port):
            host.contains(":") ? "tcp:[\(host)]:\(port)" : "tcp:\(host):\(port)"
        }
    }
}
