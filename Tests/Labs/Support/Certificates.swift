/// Certificates of one authority for this machine's loopback address, made by openssl(1).
package struct Certificates: Sendable {
    private let folder: TemporaryFolder

    /// The authority's certificate.
    package var authority: String { folder.file("authority.pem") }

    /// A name's certificate.
    package func certificate(_ name: String) -> String { folder.file("\(name).pem") }

    /// A name's private key.
    package func key(_ name: String) -> String { folder.file("\(name).key") }

    /// The options by which `roost` is given them.
    package func options(_ name: String) -> [String] {
        [
            "--tls-certificate", certificate(name), "--tls-key", key(name), "--tls-authority",
            authority,
        ]
    }

    /// Makes an authority and a certificate for each name.
    ///
    /// - Throws: `LabError` with what openssl says.
    package init(_ names: [String]) async throws {
        folder = try TemporaryFolder()
        try await make("authority", [])
        for name in names {
            try await make(
                name,
                [
                    "-CA", authority, "-CAkey", key("authority"),
                    "-addext", "basicConstraints=critical,CA:FALSE",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
                ])
        }
    }

    private func make(_ name: String, _ signing: [String]) async throws {
        let request = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", "/CN=\(name)", "-keyout", key(name), "-out", certificate(name),
        ]
        try await ChildProcess("/usr/bin/openssl", request + signing).succeed()
    }
}
