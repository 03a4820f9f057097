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
        return HostError(
            .connection,
            "\(peer) does not speak TLS 1.3, or ended the connection during the handshake: "
                + "check the port, and the messages of that host (\(text))")
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
            ("ALERT_CERTIFICATE_EXPIRED", "it has expired; renew it"),
            ("ALERT_BAD_CERTIFICATE", "it cannot be used; see the messages of that host"),
            ("ALERT_CERTIFICATE_UNKNOWN", "it cannot be used; see the messages of that host"),
            ("ALERT_UNSUPPORTED_CERTIFICATE", "it is of an unsupported kind; use EC P-256"),
        ]
        for (alert, why) in refusals where text.contains(alert) {
            return HostError(.refused, "\(peer) refused this host's certificate: \(why)")
        }
        if text.contains("PROTOCOL_VERSION") || text.contains("UNSUPPORTED_PROTOCOL") {
            return HostError(
                .refused, "\(peer) does not speak TLS 1.3: use a peer that does")
        }
        return nil
    }
}
