internal import Glibc
internal import NIOSSL
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
    let leaf: NIOSSLCertificate?
    let client: NIOSSLContext
    let server: NIOSSLContext

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
        let privateKey = try Self.privateKey(in: key)
        if let own = chain.first {
            try Self.checkDates(own, path: certificate, what: "certificate")
        }
        leaf = chain.first
        // A bundle may have some that are over.
        if let last = roots.max(by: { $0.notValidAfter < $1.notValidAfter }) {
            try Self.checkDates(last, path: authority, what: "authority's certificate")
        }
        var configuration = TLSConfiguration.makeServerConfigurationWithMTLS(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey),
            trustRoots: .certificates(roots))
        configuration.minimumTLSVersion = .tlsv13
        configuration.shutdownTimeout = TLSBridge.closeLimit
        do {
            server = try NIOSSLContext(configuration: configuration)
            configuration.certificateVerification = .fullVerification
            client = try NIOSSLContext(configuration: configuration)
        } catch {
            // A certificate that may not sign is refused like one of another key.
            if let leaf, let obstacle = CertificatePurpose(of: leaf).obstacle(to: .server) {
                throw HostError(
                    .identity, path: certificate,
                    "the certificate in \(certificate) cannot be used: \(obstacle)")
            }
            throw HostError(
                .identity, path: key,
                "the key in \(key) is not that of the certificate in \(certificate): "
                    + "give the key that the certificate was made with")
        }
        authorityPath = authority
    }

    private static func certificates(
        in path: String, what: String
    ) throws(HostError) -> [NIOSSLCertificate] {
        let bytes = try contents(of: path, what: what)
        guard let found = try? NIOSSLCertificate.fromPEMBytes(bytes), !found.isEmpty else {
            throw HostError(
                .identity, path: path,
                "the \(what) file \(path) holds no readable PEM certificate: "
                    + "give one that begins with -----BEGIN CERTIFICATE-----")
        }
        return found
    }

    private static func privateKey(in path: String) throws(HostError) -> NIOSSLPrivateKey {
        let bytes = try contents(of: path, what: "key")
        guard let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem) else {
            throw HostError(
                .identity, path: path,
                "the key file \(path) holds no readable PEM private key: "
                    + "give one without a passphrase")
        }
        return key
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

    private static func checkDates(
        _ certificate: NIOSSLCertificate, path: String, what: String
    ) throws(HostError) {
        let now = time(nil)
        guard certificate.notValidAfter > now else {
            throw HostError(
                .identity, path: path, "the \(what) in \(path) has expired: renew it")
        }
        guard certificate.notValidBefore <= now else {
            throw HostError(
                .identity, path: path,
                "the \(what) in \(path) is not valid yet: check this host's clock")
        }
    }
}
