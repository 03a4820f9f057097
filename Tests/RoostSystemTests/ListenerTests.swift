import Glibc
import RoostSystem
import SystemPackage
import Testing

/// The mode of a file, or `nil` when there is none.
private func mode(_ endpoint: Endpoint) -> mode_t? {
    guard case .unix(let path) = endpoint else { return nil }
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
}

private func text(_ socket: StreamSocket) throws -> String {
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = try FileDescriptor(rawValue: socket.descriptor.rawValue).readOnce(&buffer)
    return String(decoding: buffer[..<count], as: UTF8.self)
}

extension FileDescriptor {
    fileprivate func readOnce(_ buffer: inout [UInt8]) throws -> Int {
        try unsafe buffer.withUnsafeMutableBytes { bytes in try unsafe read(into: bytes) }
    }
}

private func send(_ text: String, to socket: StreamSocket) throws {
    let bytes = Array(text.utf8)
    try socket.send(unsafe bytes.span.bytes)
}

@Suite(.timeLimit(.minutes(1))) struct ListenerTests {
    @Test("A unix listener is private to its user and gone after it stops")
    func unixListener() throws {
        let folder = try Folder()
        let endpoint = folder.endpoint("a")
        let listener = try Listener(on: endpoint)
        #expect(mode(endpoint) == S_IFSOCK | 0o600)
        let client = try StreamSocket.connect(to: endpoint)
        let server = try listener.accept(timeout: .seconds(30))
        try send("to the server", to: client)
        #expect(try text(server) == "to the server")
        try send("to the client", to: server)
        #expect(try text(client) == "to the client")
        listener.stop()
        #expect(mode(endpoint) == nil)
        let error = #expect(throws: SystemError.self) { try StreamSocket.connect(to: endpoint) }
        #expect(error?.errno == .noSuchFileOrDirectory)
    }

    @Test("A listener that is let go removes its socket")
    func deinitRemoves() throws {
        let folder = try Folder()
        var listener: Listener? = try Listener(on: folder.endpoint("a"))
        withExtendedLifetime(listener) {}
        listener = nil
        #expect(mode(folder.endpoint("a")) == nil)
    }

    @Test("A listener leaves a file alone that has taken its place")
    func removesOnlyItsOwn() throws {
        let folder = try Folder()
        let listener = try Listener(on: folder.endpoint("a"))
        _ = unsafe unlink(folder.file("a"))
        try folder.write("precious", to: "a")
        listener.stop()
        #expect(folder.text("a") == "precious")
        #expect(FileFacts(at: folder.file("a.lock")) == nil)
    }

    @Test("A TCP listener tells the port that the system chose", arguments: ["127.0.0.1", "::1"])
    func tcpListener(host: String) throws {
        // A host without IPv6 has no such address.
        let hasIPv6 = unsafe access("/proc/net/if_inet6", R_OK) == 0
        guard host != "::1" || hasIPv6 else { return }
        let listener = try Listener(on: .tcp(host: host, port: 0))
        guard case .tcp(_, let port) = listener.endpoint else { fatalError() }
        #expect(port != 0)
        let client = try StreamSocket.connect(to: listener.endpoint, timeout: .seconds(30))
        let server = try listener.accept(timeout: .seconds(30))
        for socket in [client, server] {
            var value: Int32 = 0
            var size = socklen_t(4)
            _ = unsafe getsockopt(
                socket.descriptor.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &size)
            #expect(value == 1)
            _ = unsafe getsockopt(
                socket.descriptor.rawValue, SOL_SOCKET, SO_KEEPALIVE, &value, &size)
            #expect(value == 1)
        }
        try send("hello", to: client)
        #expect(try text(server) == "hello")
    }

    @Test("Accepting ends at its deadline")
    func acceptTimesOut() throws {
        let listener = try Listener(on: .tcp(host: "127.0.0.1", port: 0))
        for timeout in [Duration.zero, .milliseconds(20)] {
            let error = #expect(throws: SystemError.self) { try listener.accept(timeout: timeout) }
            #expect(error?.kind == .timeout)
        }
    }

    @Test("Stopping ends an accept on another thread, and every later one")
    func acceptIsCancelled() async throws {
        let folder = try Folder()
        for endpoint in [folder.endpoint("a"), .tcp(host: "127.0.0.1", port: 0)] {
            let listener = try Listener(on: endpoint)
            async let waiting = DedicatedThread.result(name: "accept") {
                () throws(SystemError) in _ = try listener.accept()
            }
            // Whether it stops before or after the thread waits, the outcome is the same.
            listener.stop()
            let outcome = try await waiting
            #expect(throws: SystemError.self) { try outcome.get() }
            let again = #expect(throws: SystemError.self) { try listener.accept() }
            #expect(again?.kind == .cancelled)
        }
    }

    @Test("Nobody listening is told in one sentence")
    func nobodyListens() throws {
        let port: Endpoint
        do { port = try Listener(on: .tcp(host: "127.0.0.1", port: 0)).endpoint }
        let refused = #expect(throws: SystemError.self) { try StreamSocket.connect(to: port) }
        #expect(refused?.errno == .connectionRefused)
        let missing = #expect(throws: SystemError.self) {
            try StreamSocket.connect(to: .unix(path: "/nonexistent/socket"))
        }
        #expect(missing?.description.contains("start what listens there first") == true)
        let unknown = #expect(throws: SystemError.self) {
            try StreamSocket.connect(to: .tcp(host: "no such host", port: 1))
        }
        #expect(unknown?.kind == .address)
    }
}
