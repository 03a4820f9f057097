import Foundation
import RoostHost
import SystemPackage
import Testing
import TestSupport

@Suite(.timeLimit(.minutes(1))) struct TLSBridgeTests {
    let certificates: TestCertificates
    let own = ["-cert", "host.pem", "-key", "host.key"]

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        certificates = try TestCertificates()
    }

    @Test func `bytes pass both ways at once, and each way ends by itself`() async throws {
        let (client, server) = try await pair()
        let there = bytes(7 << 20, seed: 1)
        let back = bytes(5 << 20, seed: 2)
        async let clientReads = readAll(client)
        async let serverReads = readAll(server)
        async let clientWrote: Void = writeAll(there, to: client)
        async let serverWrote: Void = writeAll(back, to: server)
        try await clientWrote
        try await serverWrote
        let (atServer, atClient) = try await (serverReads, clientReads)
        expectEqual(atServer, there)
        expectEqual(atClient, back)
        try await close(client, server)
    }

    @Test func `after one way has ended the other goes on`() async throws {
        let (client, server) = try await pair()
        try await writeAll([1, 2, 3], to: client)
        let question = try await readAll(server)
        #expect(question == [1, 2, 3])
        // A megabyte, so that it cannot all have been on its way before.
        let answer = bytes(1 << 20, seed: 3)
        async let reads = readAll(client)
        try await writeAll(answer, to: server)
        let arrived = try await reads
        expectEqual(arrived, answer)
        try await close(client, server)
    }

    @Test func `a writer is held back by a reader that does not read`() async throws {
        let (client, server) = try await pair()
        let much = bytes(64 << 20, seed: 4)
        let sent = Counter()
        async let wrote: Void = writeAll(much, to: client, counting: sent)
        // It stops when every buffer on the way is full; they hold far less than all.
        var last = -1
        while sent.value != last || last == 0 {
            last = sent.value
            try await Task.sleep(for: .milliseconds(200))
        }
        #expect(last < 32 << 20)
        let arrived = try await readAll(server)
        try await wrote
        expectEqual(arrived, much)
        try await close(client, server)
    }

    @Test func `an address is matched with the addresses of the certificate`() async throws {
        let (client, server) = try await pair(host: "127.0.0.1")
        try await close(client, server)
    }

    @Test func `close sends what was written, and ends the peer's input`() async throws {
        let (client, server) = try await pair()
        let all = bytes(1 << 20, seed: 5)
        async let reads = readAll(server)
        try await writeAll(all, to: client, ends: false)
        async let closed: Void = client.close()
        let arrived = try await reads
        expectEqual(arrived, all)
        await server.close()
        await closed
        #expect(client.failure == nil)
        #expect(server.failure == nil)
    }

    // MARK: Peers that are refused

    @Test func `a client without a certificate is refused`() async throws {
        let (client, accepted) = try await openssl(["-CAfile", "ca.pem"])
        defer { client.end() }
        expect(accepted, .verification, "sent no certificate")
    }

    @Test func `a client of another authority is refused, and told`() async throws {
        let stranger = try certificates.identity("stranger")
        let (connected, accepted) = try await meet(client: stranger)
        expect(accepted, .verification, "is not signed by an authority")
        // In TLS 1.3 the client is done before the server has looked, so the refusal may come
        // with the handshake or with the first read.
        switch connected {
        case .failure(let error): #expect(error.kind == .refused)
        case .success(let client):
            await #expect(throws: Errno.connectionReset) { try await readAll(client) }
            #expect(client.failure?.kind == .refused)
            #expect(client.failure?.description.contains("refused this host's") == true)
            await client.close()
        }
    }

    @Test func `a server of another authority is refused, and told`() async throws {
        let stranger = try certificates.identity("stranger")
        let (connected, accepted) = try await meet(server: stranger)
        expect(connected, .verification, "is not signed by an authority")
        expect(accepted, .refused, "does not know the authority")
    }

    @Test func `a server that goes by another name is refused`() async throws {
        let (connected, accepted) = try await meet(server: certificates.identity("elsewhere"))
        expect(connected, .verification, "for other names than localhost")
        // The server's handshake is over by then: to it the client just ends.
        if case .success(let server) = accepted {
            let nothing = try await readAll(server)
            #expect(nothing == [])
            await server.close()
        }
    }

    @Test func `a server of an older TLS is refused`() async throws {
        let server = try OpenSSL(
            ["s_server", "-accept", "127.0.0.1:0", "-tls1_2"] + own, in: certificates)
        defer { server.end() }
        // It prints "ACCEPT 127.0.0.1:PORT" once it listens.
        let line = try await server.line(where: { $0.hasPrefix("ACCEPT ") })
        let port = try #require(line.split(separator: ":").last.flatMap { Int($0) })
        let identity = try certificates.identity("host")
        let error = await #expect(throws: HostError.self) {
            _ = try await TLSBridge.connect(host: "127.0.0.1", port: port, identity: identity)
        }
        #expect(error?.kind == .refused)
        #expect(error?.description.contains("does not speak TLS 1.3") == true)
    }

    @Test func `a port that nobody listens on is refused`() async throws {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity("host"))
        let port = listener.port
        await listener.close()
        let identity = try certificates.identity("host")
        let error = await #expect(throws: HostError.self) {
            _ = try await TLSBridge.connect(host: "127.0.0.1", port: port, identity: identity)
        }
        #expect(error?.kind == .connection)
        #expect(error?.errno == .connectionRefused)
    }

    @Test func `a listener goes on after a client that was refused`() async throws {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity("host"))
        let stranger = try certificates.identity("stranger")
        let known = try certificates.identity("host")
        let first = try? await TLSBridge.connect(
            host: "localhost", port: listener.port, identity: stranger)
        await #expect(throws: HostError.self) { _ = try await listener.accept() }
        let second = try await TLSBridge.connect(
            host: "localhost", port: listener.port, identity: known)
        let server = try await listener.accept()
        try await close(second, server)
        await first?.close()
        await listener.close()
        await #expect(throws: HostError.self) { _ = try await listener.accept() }
    }

    // MARK: Connections that break

    @Test func `a peer that vanishes is a reset, not an end`() async throws {
        let (client, accepted) = try await openssl(["-CAfile", "ca.pem"] + own)
        let server = try accepted.get()
        try client.write([1, 2, 3])
        let first = try await read(server)
        #expect(first == [1, 2, 3])
        // Killed, it sends no closing message of TLS; its kernel closes the connection.
        client.end()
        await #expect(throws: Errno.connectionReset) { try await readAll(server) }
        #expect(server.failure?.kind == .interrupted)
        #expect(server.failure?.description.contains("without TLS's closing message") == true)
        await #expect(throws: Errno.brokenPipe) {
            try await writeAll(bytes(1 << 20, seed: 1), to: server)
        }
        await server.close()
    }

    @Test func `an engine that is gone both ways is waited for without work`() async throws {
        let (client, server) = try await pair()
        // As an engine ends that gives up, while the peer neither speaks nor closes.
        shutdown(client.descriptor.rawValue, Int32(SHUT_RDWR))
        let nothing = try await readAll(server)
        #expect(nothing == [])
        let before = Self.ticksOfBridges()
        try await Task.sleep(for: .seconds(1))
        // A thread that does not sleep takes most of a hundred; others of its name have ended.
        #expect(Self.ticksOfBridges() - before < 25)
        try await close(client, server)
    }

    /// The processor time of this process's bridges in ticks, a hundred a second.
    private static func ticksOfBridges() -> Int {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return tasks.compactMap { task -> Int? in
            guard
                let text = try? String(
                    contentsOfFile: "/proc/self/task/\(task)/stat", encoding: .utf8),
                text.contains("(roost-tls)")
            else { return nil }
            // The name in brackets may hold spaces; user and system time are the 12th and 13th behind it.
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : nil
        }.reduce(0, +)
    }
}
