internal import COpenSSL
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
    let own: TLSCertificate

    /// Which end the peer is.
    private var peerRole: CertificateRole { host == nil ? .client : .server }
    /// Which end this host is.
    private var ownRole: CertificateRole { host == nil ? .server : .client }

    /// Why the handshake failed.
    func error(for fault: TLSFault) -> HostError {
        if fault.errno != nil { return interruption(by: fault) }
        if fault.reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE {
            return HostError(
                .verification,
                "\(peer) sent no certificate: give it a certificate and key of its own, signed "
                    + "by the authority in \(authorityPath)")
        }
        if fault.reason == SSL_R_CERTIFICATE_VERIFY_FAILED { return untrusted(fault) }
        if let refusal = refusal(fault.reason) { return refusal }
        if Self.notTLS.contains(fault.reason) {
            return HostError(
                .connection,
                host == nil
                    ? "\(peer) does not speak TLS, which this host wants: start the other end with "
                        + "--tls-certificate, --tls-key and --tls-authority"
                    : "\(peer) answers without TLS: check the port, and start the other end with "
                        + "--tls-certificate, --tls-key and --tls-authority as well")
        }
        return HostError(
            .connection,
            "\(peer) does not speak TLS 1.3, or ended the connection during the handshake: "
                + "check the port, and the messages of that host"
                + (fault.text.isEmpty ? "" : " (\(fault.text))"))
    }

    /// Why an established connection broke.
    func interruption(by fault: TLSFault) -> HostError {
        if let errno = fault.errno {
            return HostError(
                .interrupted, errno: errno,
                "the connection to \(peer) broke: \(errno); look for a failure there or of the "
                    + "network, and start again")
        }
        if let refusal = refusal(fault.reason) { return refusal }
        return HostError(
            .interrupted,
            "the connection to \(peer) ended without TLS's closing message, so data may be "
                + "missing: look for a failure there, and start again")
    }

    /// Reasons that bytes which are no TLS are refused for.
    private static let notTLS = [
        SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
        SSL_R_BAD_RECORD_TYPE, SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_DATA_LENGTH_TOO_LONG,
        SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_UNEXPECTED_MESSAGE,
    ]

    private func untrusted(_ fault: TLSFault) -> HostError {
        let text: String
        switch Int32(truncatingIfNeeded: fault.verification) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            text = "the certificate of \(peer) has expired: renew it there"
        case X509_V_ERR_CERT_NOT_YET_VALID:
            text = "the certificate of \(peer) is not valid yet: check the clocks of both hosts"
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            text =
                "\(peer) has a certificate for other names than \(host ?? ""): connect by a name in "
                + "it, or give the peer a certificate with this name (subjectAltName)"
        case X509_V_ERR_INVALID_PURPOSE:
            text = "the certificate of \(peer) cannot be used: \(peerRole.otherPurpose)"
        case X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            text =
                "the certificate of \(peer) is not signed by an authority in \(authorityPath): give "
                + "both hosts certificates of one authority"
        default:
            text =
                "the certificate of \(peer) cannot be trusted (\(fault.verificationText)): make it, "
                + "or what signed it, anew"
        }
        return HostError(.verification, text)
    }

    /// What an alert of the peer (RFC 8446, section 6.2) says about us.
    private func refusal(_ reason: Int32) -> HostError? {
        let why: String
        switch reason {
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            why =
                "it does not know the authority that signed it; give both hosts certificates of one "
                + "authority"
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: why = "none was sent; give this host one"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            why = "it has expired by that host's clock; renew it, or set the clocks of both hosts"
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
            why =
                "it cannot be used; check the clocks of both hosts, and see the messages of that one"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
            why = "it cannot be used; see the messages of that host"
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
            why =
                "its kind or its purpose is not one that it takes; make one for serverAuth and "
                + "clientAuth (extendedKeyUsage)"
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SSL_R_UNSUPPORTED_PROTOCOL:
            return HostError(
                .refused, "\(peer) does not speak TLS 1.3: use a peer that does")
        default: return nil
        }
        // An authority that is not known comes before a purpose that does not fit.
        let isOther =
            reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA
            || reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
        let obstacle = isOther ? nil : own.obstacle(to: ownRole)
        return HostError(.refused, "\(peer) refused this host's certificate: \(obstacle ?? why)")
    }
}
