import Foundation
import RoostSystem
import SystemPackage
import Testing

@testable import RoostHost

/// Why a TLS connection cannot be had is said as it is, on both sides.
@Suite(.timeLimit(.minutes(1))) struct TLSCauseTests {
    private let certificates: TestCertificates

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        certificates = try TestCertificates()
    }

    /// What each side says of a connection that fails, the client at the latest when it reads.
    private func reasons(client: String, server: String) async throws -> (String, String) {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity(server))
        let identity = try certificates.identity(client)
        let port = listener.port
        async let accepted = Self.reason { try await listener.accept() }
        let connected = await Self.reason {
            try await TLSBridge.connect(host: "localhost", port: port, identity: identity)
        }
        let reasons = (connected, await accepted)
        await listener.close()
        return reasons
    }

    private static func reason(_ body: () async throws -> TLSBridge) async -> String {
        do {
            let bridge = try await body()
            // In TLS 1.3 the client is done before the server has looked at its certificate.
            _ = try? await readAll(bridge)
            let failure = bridge.failure
            await bridge.close()
            return failure?.description ?? ""
        } catch {
            return "\(error)"
        }
    }

    private func expectNoPath(_ text: String) {
        #expect(!text.contains(".cc:") && !text.contains(".swift") && !text.contains("checkouts"))
    }

    @Test(arguments: ["for-servers", "for-mail"])
    func `a client's certificate for another purpose`(name: String) async throws {
        let (client, server) = try await reasons(client: name, server: "for-both")
        for text in [client, server] {
            #expect(text.contains("purpose") && text.contains("clientAuth"))
            #expect(!text.contains("not signed by an authority") && !text.contains("P-256"))
            expectNoPath(text)
        }
    }

    @Test(arguments: ["for-clients", "for-mail"])
    func `a server's certificate for another purpose`(name: String) async throws {
        let (client, server) = try await reasons(client: "for-both", server: name)
        for text in [client, server] {
            #expect(text.contains("purpose") && text.contains("serverAuth"))
            #expect(!text.contains("not signed by an authority"))
            expectNoPath(text)
        }
    }

    @Test func `a certificate for both ends`() async throws {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity("for-both"))
        async let accepted = listener.accept()
        let client = try await TLSBridge.connect(
            host: "localhost", port: listener.port, identity: certificates.identity("for-both"))
        let server = try await accepted
        async let closed: Void = client.close()
        await server.close()
        await closed
        await listener.close()
    }

    @Test func `a purpose is read from the certificate`() throws {
        func obstacle(_ name: String, _ role: CertificateRole) throws -> String? {
            let identity = try certificates.identity(name)
            return identity.leaf.obstacle(to: role)
        }
        #expect(try obstacle("host", .client) == nil && obstacle("host", .server) == nil)
        #expect(try obstacle("for-both", .client) == nil && obstacle("for-both", .server) == nil)
        #expect(try obstacle("for-servers", .server) == nil)
        #expect(try obstacle("for-servers", .client)?.contains("clientAuth") == true)
        #expect(try obstacle("for-clients", .server)?.contains("serverAuth") == true)
        let error = #expect(throws: HostError.self) {
            try obstacle("for-encryption", .server)
        }
        #expect(error?.description.contains("digitalSignature") == true)
    }

    @Test func `a client without TLS at a TLS port`() async throws {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity("host"))
        let endpoint = Endpoint.tcp(host: "127.0.0.1", port: UInt16(listener.port))
        let plain = try StreamSocket.connect(to: endpoint)
        let hello = Array("\u{1}\0\0\0\0\0\0\u{8}Roost says hello to a receiver".utf8)
        try plain.send(unsafe hello.span.bytes)
        let error = await #expect(throws: HostError.self) { _ = try await listener.accept() }
        #expect(error?.description.contains("does not speak TLS") == true)
        #expect(error?.description.contains("--tls-certificate") == true)
        expectNoPath(error?.description ?? "")
        await listener.close()
    }

    @Test func `a TLS client at a port without TLS`() async throws {
        let listener = try Listener(on: .tcp(host: "127.0.0.1", port: 0))
        guard case .tcp(_, let port) = listener.endpoint else { return }
        let answered = Task.detached {
            let socket = try listener.accept()
            try socket.send(unsafe Array("\u{1}\0\0\0\0\0\0\u{8}Roost says hello".utf8).span.bytes)
            return socket
        }
        let identity = try certificates.identity("host")
        let error = await #expect(throws: HostError.self) {
            _ = try await TLSBridge.connect(host: "127.0.0.1", port: Int(port), identity: identity)
        }
        #expect(
            error?.description.contains("answers without TLS") == true,
            "\(error?.description ?? "")")
        expectNoPath(error?.description ?? "")
        _ = try await answered.value
    }

    @Test func `an authority that has expired is named`() throws {
        let error = #expect(throws: HostError.self) {
            _ = try certificates.identity("host", authority: "expired")
        }
        #expect(error?.description.contains("authority's certificate") == true)
        #expect(error?.description.contains("has expired") == true)
    }

    @Test func `too few descriptors are a sentence`() async {
        await #expect(processExitsWith: .success) {
            let certificates = try TestCertificates()
            let identity = try certificates.identity("host")
            var limit = rlimit(rlim_cur: 4, rlim_max: 4)
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let error = await #expect(throws: HostError.self) {
                _ = try await TLSListener.listen(host: "127.0.0.1", port: 0, identity: identity)
            }
            try #require(error?.errno == .tooManyOpenFiles)
            try #require(error?.description.contains("ulimit -n") == true)
        }
    }
}
