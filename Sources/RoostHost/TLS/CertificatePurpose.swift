internal import COpenSSL

/// Which end of a connection a certificate is shown at.
enum CertificateRole: String, Sendable {
    /// The end that connects.
    case client
    /// The end that listens.
    case server

    /// The purpose that a certificate needs for it (RFC 5280, section 4.2.1.12).
    var purpose: String {
        switch self {
        case .client: "clientAuth"
        case .server: "serverAuth"
        }
    }

    /// Why a certificate of another purpose cannot be shown at this end, as the end of a sentence.
    var otherPurpose: String {
        "its purpose (extendedKeyUsage) is not that of a \(rawValue): make it anew with \(purpose), "
            + "best with serverAuth and clientAuth both"
    }
}

extension TLSCertificate {
    /// Why the certificate cannot be shown at an end, as the end of a sentence; `nil` if it can.
    func obstacle(to role: CertificateRole) -> String? {
        let wanted = role == .client ? XKU_SSL_CLIENT : XKU_SSL_SERVER
        if purposes & UInt32(wanted) == 0 { return role.otherPurpose }
        // By a signature a TLS 1.3 end shows that it has the key.
        if usage & UInt32(KU_DIGITAL_SIGNATURE) == 0 {
            return "its keyUsage does not allow signatures: make it anew with digitalSignature"
        }
        return nil
    }
}
