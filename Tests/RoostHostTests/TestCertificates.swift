import Foundation
import RoostHost

/// Certificates made by the openssl command in a temporary folder, which goes with the value.
final class TestCertificates: Sendable {
    let folder: String

    /// Two authorities, `ca` and `other-ca`, and certificates of each kind that a test needs.
    init() throws {
        folder = FileManager.default.temporaryDirectory.path + "/roost-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        for authority in ["ca", "other-ca"] {
            try makeKey(authority)
            try openssl(
                "req", "-x509", "-new", "-key", "\(authority).key", "-days", "2",
                "-subj", "/CN=\(authority)", "-out", "\(authority).pem")
        }
        try makeCertificate("host", names: "DNS:localhost,IP:127.0.0.1")
        try makeCertificate("elsewhere", names: "DNS:elsewhere.example")
        try makeCertificate("stranger", names: "DNS:localhost", authority: "other-ca")
        let names = "DNS:localhost,IP:127.0.0.1"
        try makeCertificate("for-servers", names: names, extensions: "extendedKeyUsage=serverAuth")
        try makeCertificate("for-clients", names: names, extensions: "extendedKeyUsage=clientAuth")
        try makeCertificate(
            "for-both", names: names, extensions: "extendedKeyUsage=clientAuth,serverAuth")
        try makeCertificate(
            "for-mail", names: names, extensions: "extendedKeyUsage=emailProtection")
        try makeCertificate(
            "for-encryption", names: names, extensions: "keyUsage=critical,keyEncipherment")
        try makeCertificate("expired", names: "DNS:localhost", days: "-1")
    }

    deinit {
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// An identity with the certificate and key of a name.
    func identity(
        _ name: String, key: String? = nil, authority: String = "ca"
    ) throws(HostError) -> TLSIdentity {
        try TLSIdentity(
            certificate: path("\(name).pem"), key: path("\(key ?? name).key"),
            authority: path("\(authority).pem"))
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func write(_ text: String, to name: String) throws {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
    }

    private func makeKey(_ name: String) throws {
        try openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-out", "\(name).key")
    }

    private func makeCertificate(
        _ name: String, names: String, authority: String = "ca", days: String = "2",
        extensions: String = ""
    ) throws {
        try makeKey(name)
        try write("subjectAltName=\(names)\n\(extensions)\n", to: "\(name).ext")
        try openssl(
            "req", "-new", "-key", "\(name).key", "-subj", "/CN=\(name)", "-out", "\(name).csr")
        try openssl(
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).pem", "-CAkey",
            "\(authority).key", "-CAcreateserial", "-days", days, "-extfile", "\(name).ext",
            "-out", "\(name).pem")
    }

    func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CocoaError(.executableLoad, userInfo: ["openssl": arguments])
        }
    }
}
