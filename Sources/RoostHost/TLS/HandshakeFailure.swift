internal import Glibc
internal import NIOCore
internal import NIOSSL
internal import SystemPackage

/// Says in a sentence why a TLS connection failed, as seen from one end.
struct HandshakeFailure: Sendable {
    /// The peer, as the user knows it: host and port, or its address.
    let peer: String
    /// The name that the peer's certificate is to carry; `nil` where it is a client's.
    let host: String?
    /// The file of the authority that peers' certificates are checked against.
    let authorityPath: String
    /// This host's own certificate.
    let own: NIOSSLCertificate?

    /// Which end the peer is.
    private var peerRole: CertificateRole { host == nil ? .client : .server }
    /// Which end this host is.
    private var ownRole: CertificateRole { host == nil ? .server : .client }

    /// Why the handshake failed.
    ///
    /// - Parameters:
    ///   - error: What the TLS or TCP layer says; `nil` when the connection just ended.
    ///   - certificate: The peer's, where it got as far as to send one.
    /// - Returns: What to tell the user.
    func error(for error: (any Error)?, peer certificate: NIOSSLCertificate?) -> HostError {
        switch error {
        case let error as HostError: return error
        case let error as IOError: return interruption(by: error)
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return HostError(
                .verification,
                "\(peer) has a certificate for other names than \(host ?? ""): connect by a name "
                    + "in it, or give the peer a certificate with this name (subjectAltName)")
        default: return reason(from: error.map { String(describing: $0) } ?? "", certificate)
        }
    }

    /// Why an established connection broke.
    func interruption(by error: (any Error)?) -> HostError {
        if let error = error as? HostError { return error }
        if let error = error as? IOError {
            let errno = Errno(rawValue: error.errnoCode)
            return HostError(
                .interrupted, errno: errno,
                "the connection to \(peer) broke: \(errno); look for a failure there or of the "
                    + "network, and start again")
        }
        let text = error.map { String(describing: $0) } ?? ""
        if let refusal = refusal(in: text) { return refusal }
        return HostError(
            .interrupted,
            "the connection to \(peer) ended without TLS's closing message, so data may be "
                + "missing: look for a failure there, and start again")
    }

    private func reason(from text: String, _ certificate: NIOSSLCertificate?) -> HostError {
        if text.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE") {
            return HostError(
                .verification,
                "\(peer) sent no certificate: give it a certificate and key of its own, signed "
                    + "by the authority in \(authorityPath)")
        }
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return untrusted(certificate)
        }
        if let refusal = refusal(in: text) { return refusal }
        if Self.notTLS.contains(where: { text.contains($0) }) {
            return HostError(
                .connection,
                host == nil
                    ? "\(peer) does not speak TLS, which this host wants: start the other end with "
                        + "--tls-certificate, --tls-key and --tls-authority"
                    : "\(peer) answers without TLS: check the port, and start the other end with "
                        + "--tls-certificate, --tls-key and --tls-authority as well")
        }
        let reason = Self.reason(in: text)
        return HostError(
            .connection,
            "\(peer) does not speak TLS 1.3, or ended the connection during the handshake: "
                + "check the port, and the messages of that host"
                + (reason.isEmpty ? "" : " (\(reason))"))
    }

    /// BoringSSL's names for bytes that are no TLS.
    private static let notTLS = [
        "WRONG_VERSION_NUMBER", "UNEXPECTED_RECORD", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST",
        "INVALID_OUTER_RECORD_TYPE", "ENCRYPTED_LENGTH_TOO_LONG", "DATA_LENGTH_TOO_LONG",
        "UNKNOWN_PROTOCOL", "BAD_PACKET_LENGTH",
    ]

    /// The names of errors in what the TLS library says, without the places in its sources.
    private static func reason(in text: String) -> String {
        let parts = text.split(separator: "OPENSSL_internal:", omittingEmptySubsequences: false)
        return parts.dropFirst().map { part in
            String(part.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
        }.joined(separator: ", ")
    }

    private func untrusted(_ certificate: NIOSSLCertificate?) -> HostError {
        let now = time(nil)
        if let certificate, certificate.notValidAfter <= now {
            return HostError(
                .verification, "the certificate of \(peer) has expired: renew it there")
        }
        if let certificate, certificate.notValidBefore > now {
            return HostError(
                .verification,
                "the certificate of \(peer) is not valid yet: check the clocks of both hosts")
        }
        if let certificate,
            let obstacle = CertificatePurpose(of: certificate).obstacle(to: peerRole)
        {
            return HostError(
                .verification, "the certificate of \(peer) cannot be used: \(obstacle)")
        }
        return HostError(
            .verification,
            "the certificate of \(peer) is not signed by an authority in \(authorityPath): give "
                + "both hosts certificates of one authority")
    }

    /// What an alert of the peer (RFC 8446, section 6.2) says about us.
    private func refusal(in text: String) -> HostError? {
        let refusals = [
            (
                "ALERT_UNKNOWN_CA",
                "it does not know the authority that signed it; give both hosts certificates "
                    + "of one authority"
            ),
            ("CERTIFICATE_REQUIRED", "none was sent; give this host one"),
            (
                "ALERT_CERTIFICATE_EXPIRED",
                "it has expired by that host's clock; renew it, or set the clocks of both hosts"
            ),
            (
                "ALERT_BAD_CERTIFICATE",
                "it cannot be used; check the clocks of both hosts, and see the messages of that one"
            ),
            ("ALERT_CERTIFICATE_UNKNOWN", "it cannot be used; see the messages of that host"),
            (
                "ALERT_UNSUPPORTED_CERTIFICATE",
                "its kind or its purpose is not one that it takes; make one for serverAuth and "
                    + "clientAuth (extendedKeyUsage)"
            ),
        ]
        for (alert, why) in refusals where text.contains(alert) {
            let obstacle = own.flatMap { CertificatePurpose(of: $0).obstacle(to: ownRole) }
            // An authority that is not known comes before a purpose that does not fit.
            let isOther = alert == "ALERT_UNKNOWN_CA" || alert == "CERTIFICATE_REQUIRED"
            return HostError(
                .refused,
                "\(peer) refused this host's certificate: \(isOther ? why : obstacle ?? why)")
        }
        if text.contains("PROTOCOL_VERSION") || text.contains("UNSUPPORTED_PROTOCOL") {
            return HostError(
                .refused, "\(peer) does not speak TLS 1.3: use a peer that does")
        }
        return nil
    }
}
