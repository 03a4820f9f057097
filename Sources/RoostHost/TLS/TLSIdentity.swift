internal import RoostMemory
internal import SystemPackage

/// Who this host is to its peers, and whom it trusts: a certificate chain, its key, an authority.
///
/// Read once; a certificate that was renewed is used by an identity made after that.
public struct TLSIdentity: Sendable {
    /// The largest PEM file that is read; chains and authorities take a few KiB.
    static let fileByteLimit = 1 << 20

    let authorityPath: String
    /// This host's own certificate.
    let leaf: TLSCertificate
    let context: TLSContext

    /// Reads and checks the files of an identity.
    ///
    /// - Parameters:
    ///   - certificate: PEM file of this host's certificate, then those between it and the
    ///     authority.
    ///   - key: PEM file of the certificate's private key, without a passphrase.
    ///   - authority: PEM file of the certificates that peers' must be signed by.
    /// - Throws: `HostError` of kind `identity`, naming the file.
    public init(
        certificate: String, key: String, authority: String
    ) throws(HostError) {
        let chain = try Self.certificates(in: certificate, what: "certificate")
        let roots = try Self.certificates(in: authority, what: "authority")
        let privateKey = try Self.contents(of: key, what: "key")
        leaf = chain[0]
        try Self.checkDates([leaf], path: certificate, what: "certificate")
        // A bundle may have some that are over.
        try Self.checkDates(roots, path: authority, what: "authority's certificate")
        // Whether it is for clients or servers its use will show.
        if leaf.obstacle(to: .server) != nil, let obstacle = leaf.obstacle(to: .client),
            obstacle != CertificateRole.client.otherPurpose
        {
            throw HostError(
                .identity, path: certificate,
                "the certificate in \(certificate) cannot be used: \(obstacle)")
        }
        authorityPath = authority
        do throws(TLSContext.Obstacle) {
            context = try TLSContext(chain: chain, key: privateKey, roots: roots)
        } catch {
            throw Self.failure(error, certificate, key)
        }
    }

    private static func failure(
        _ obstacle: TLSContext.Obstacle, _ certificate: String, _ key: String
    ) -> HostError {
        switch obstacle {
        case .unreadableKey:
            HostError(
                .identity, path: key,
                "the key file \(key) holds no readable PEM private key: "
                    + "give one without a passphrase")
        case .otherKey:
            HostError(
                .identity, path: key,
                "the key in \(key) is not that of the certificate in \(certificate): "
                    + "give the key that the certificate was made with")
        case .refused:
            HostError(
                .identity, path: certificate,
                "OpenSSL does not take the certificate in \(certificate): its key is too short for "
                    + "this host's settings, or its signature too old; make it anew")
        }
    }

    private static func certificates(
        in path: String, what: String
    ) throws(HostError) -> [TLSCertificate] {
        let found = TLSCertificate.all(inPEM: try contents(of: path, what: what))
        guard !found.isEmpty else {
            throw HostError(
                .identity, path: path,
                "the \(what) file \(path) holds no readable PEM certificate: "
                    + "give one that begins with -----BEGIN CERTIFICATE-----")
        }
        return found
    }

    private static func contents(of path: String, what: String) throws(HostError) -> [UInt8] {
        do throws(Errno) {
            return try read(path)
        } catch {
            throw HostError(
                .identity, path: path, errno: error,
                "cannot read the \(what) file \(path): \(error); "
                    + "give the path of a PEM file that this user may read")
        }
    }

    private static func read(_ path: String) throws(Errno) -> [UInt8] {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            return try file.closeAfter {
                var queue = ByteQueue(capacity: fileByteLimit)
                while try queue.fill(from: file) > 0 {
                    guard queue.room > 0 else { throw Errno.fileTooLarge }
                }
                let bytes = queue.bytes
                return (0..<bytes.byteCount).map { bytes.loadBigEndian(at: $0, as: UInt8.self) }
            }
        } catch let error as Errno {
            throw error
        } catch {
            throw .ioError
        }
    }

    /// Refuses certificates none of which is valid now.
    private static func checkDates(
        _ certificates: [TLSCertificate], path: String, what: String
    ) throws(HostError) {
        let found = certificates.map(\.validity)
        guard !found.contains(.valid) else { return }
        guard found.contains(.notYet) else {
            throw HostError(
                .identity, path: path, "the \(what) in \(path) has expired: renew it")
        }
        throw HostError(
            .identity, path: path,
            "the \(what) in \(path) is not valid yet: check this host's clock")
    }
}
