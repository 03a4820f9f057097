import Glibc
import RoostSystem
import SystemPackage
import Testing

private func bytes(_ descriptor: FileDescriptor, upTo count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    let read = try unsafe buffer.withUnsafeMutableBytes { try unsafe descriptor.read(into: $0) }
    return Array(buffer[..<read])
}

@Suite(.timeLimit(.minutes(1))) struct StreamSocketTests {
    @Test("A descriptor travels with the first bytes and refers to the same file")
    func passesDescriptor() throws {
        let (left, right) = try StreamSocket.pair()
        let (inside, outside) = try StreamSocket.pair()
        let message = Array("take this".utf8)
        try left.send(unsafe message.span.bytes, passing: inside.descriptor)

        var buffer = [UInt8](repeating: 0, count: 64)
        var elements = buffer.mutableSpan
        var span = unsafe elements.mutableBytes
        var received = try right.receive(into: &span)
        #expect(received.byteCount == 9)
        guard let passed = received.passed.take() else {
            Issue.record("no descriptor came")
            return
        }
        let copy = StreamSocket(passed)
        #expect(copy.descriptor != inside.descriptor)
        #expect(fcntl(copy.descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
        try copy.send(unsafe message.span.bytes)
        #expect(try bytes(outside.descriptor, upTo: 64) == message)
    }

    @Test("Bytes without a descriptor bring none")
    func passesNothing() throws {
        let (left, right) = try StreamSocket.pair()
        try left.send(unsafe [1 as UInt8, 2, 3].span.bytes)
        var buffer = [UInt8](repeating: 0, count: 2)
        var elements = buffer.mutableSpan
        var span = unsafe elements.mutableBytes
        let received = try right.receive(into: &span)
        #expect(received.byteCount == 2)
        let none = received.passed == nil
        #expect(none)
    }

    @Test("More bytes than the socket holds are all sent")
    func sendsAll() async throws {
        let (left, right) = try StreamSocket.pair()
        let count = 4 << 20
        async let sent: Void = DedicatedThread.run(name: "send") {
            try left.send(unsafe [UInt8](repeating: 7, count: count).span.bytes)
            left.shutdown(.writing)
        }
        let total = try await DedicatedThread.run(name: "receive") {
            var total = 0
            while case let piece = try bytes(right.descriptor, upTo: 65536), !piece.isEmpty {
                total += piece.count
            }
            return total
        }
        try await sent
        #expect(total == count)
    }

    @Test("The peer of a pair is this process, and trusted")
    func credentials() throws {
        let (left, _) = try StreamSocket.pair()
        let peer = try left.peerCredentials()
        #expect(peer.processID == getpid())
        #expect(peer.userID == geteuid())
        #expect(peer.groupID == getegid())
        try left.checkPeerIsTrusted()
    }

    @Test("Who is behind a TCP connection cannot be told")
    func noCredentials() throws {
        let listener = try Listener(on: .tcp(host: "127.0.0.1", port: 0))
        let client = try StreamSocket.connect(to: listener.endpoint)
        let error = #expect(throws: SystemError.self) { try client.checkPeerIsTrusted() }
        #expect(error?.kind == .credentials)
    }

    @Test("Shutting down wakes a thread that reads")
    func shutdownWakesReader() async throws {
        let (left, right) = try StreamSocket.pair()
        async let read = DedicatedThread.run(name: "read") {
            try bytes(left.descriptor, upTo: 16)
        }
        left.shutdown(.both)
        #expect(try await read.isEmpty)
        #expect(try bytes(right.descriptor, upTo: 16).isEmpty)
    }

    @Test("Sending to a closed socket throws, and ends no process")
    func closedPeer() throws {
        let (left, right) = try StreamSocket.pair()
        right.shutdown(.both)
        let error = #expect(throws: SystemError.self) {
            try left.send(unsafe [1 as UInt8].span.bytes)
        }
        #expect(error?.errno == .brokenPipe)
        BrokenPipes.ignore()
        #expect(throws: Errno.brokenPipe) { _ = try left.descriptor.writeAll([1]) }
    }

    @Test("A relinquished end is closed for the peer")
    func relinquished() throws {
        let (left, right) = try StreamSocket.pair()
        try left.relinquish()
        #expect(try bytes(right.descriptor, upTo: 1).isEmpty)
        #expect(throws: SystemError.self) { try left.send(unsafe [1 as UInt8].span.bytes) }
    }

    @Test("An owned descriptor is closed at its end, and not once released")
    func ownedDescriptor() throws {
        let (first, second) = try FileDescriptor.pipe()
        do { _ = OwnedDescriptor(first) }
        #expect(throws: Errno.badFileDescriptor) { _ = try bytes(first, upTo: 1) }
        let released = OwnedDescriptor(second).release()
        try released.close()
    }
}
