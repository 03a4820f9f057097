import RoostHost
import SystemPackage
import Testing

@Suite struct TLSIdentityTests {
    let certificates: TestCertificates

    init() throws {
        certificates = try TestCertificates()
    }

    @Test func `a certificate, its key and an authority are an identity`() throws {
        _ = try certificates.identity("host")
    }

    @Test(arguments: ["certificate", "key", "authority"])
    func `a missing file is named`(which: String) throws {
        var paths = [
            "certificate": "host.pem", "key": "host.key", "authority": "ca.pem",
        ]
        paths[which] = "absent.pem"
        let error = try #require(throws: HostError.self) {
            _ = try TLSIdentity(
                certificate: certificates.path(paths["certificate"] ?? ""),
                key: certificates.path(paths["key"] ?? ""),
                authority: certificates.path(paths["authority"] ?? ""))
        }
        #expect(error.kind == .identity)
        #expect(error.errno == .noSuchFileOrDirectory)
        #expect(error.path == certificates.path("absent.pem"))
        #expect(error.description.contains("the \(which) file"))
    }

    @Test func `a key of another certificate is refused`() throws {
        try expect("is not that of the certificate") {
            _ = try certificates.identity("host", key: "stranger")
        }
    }

    @Test func `an expired certificate is refused`() throws {
        try expect("has expired") { _ = try certificates.identity("expired") }
    }

    @Test func `files that are not PEM are refused`() throws {
        try certificates.write("no certificate\n", to: "text.pem")
        try certificates.write("", to: "text.key")
        try expect("holds no readable PEM certificate") {
            _ = try certificates.identity("text", key: "host")
        }
        try expect("holds no readable PEM private key") {
            _ = try certificates.identity("host", key: "text")
        }
        try expect("the authority file") {
            _ = try certificates.identity("host", authority: "text")
        }
    }

    @Test func `a key with a passphrase is refused, not asked for`() throws {
        try certificates.openssl(
            "pkey", "-in", "host.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
        try expect("without a passphrase") {
            _ = try certificates.identity("host", key: "locked")
        }
    }

    private func expect(_ text: String, _ body: () throws -> Void) throws {
        let error = try #require(throws: HostError.self) { try body() }
        #expect(error.kind == .identity)
        #expect(error.description.contains(text))
    }
}
