import Foundation
import RoostHost
import RoostMemory
import Synchronization
import SystemPackage
import Testing
import TestSupport

extension TLSBridgeTests {
    typealias Outcome = Result<TLSBridge, HostError>

    /// Two ends of a connection.
    func pair(host: String = "localhost") async throws -> (client: TLSBridge, server: TLSBridge) {
        let (connected, accepted) = try await meet(host: host)
        return try (connected.get(), accepted.get())
    }

    /// What connecting and accepting come to.
    func meet(
        host: String = "localhost", client: TLSIdentity? = nil, server: TLSIdentity? = nil
    ) async throws -> (connected: Outcome, accepted: Outcome) {
        let own = try certificates.identity("host")
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: server ?? own)
        async let accepted = outcome { () throws(HostError) in try await listener.accept() }
        let connected = await outcome { () throws(HostError) in
            try await TLSBridge.connect(
                host: host, port: listener.port, identity: client ?? own)
        }
        let results = await (connected, accepted)
        await listener.close()
        return results
    }

    /// A bridge whose client is the openssl command, and what accepting it comes to.
    func openssl(_ arguments: [String]) async throws -> (client: OpenSSL, accepted: Outcome) {
        let listener = try await TLSListener.listen(
            host: "127.0.0.1", port: 0, identity: certificates.identity("host"))
        let client = try OpenSSL(
            ["s_client", "-quiet", "-connect", "127.0.0.1:\(listener.port)"] + arguments,
            in: certificates)
        let accepted = await outcome { () throws(HostError) in try await listener.accept() }
        await listener.close()
        return (client, accepted)
    }

    private func outcome(
        _ body: () async throws(HostError) -> TLSBridge
    ) async -> Outcome {
        do throws(HostError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    func expect(_ outcome: Outcome, _ kind: HostError.Kind, _ text: String) {
        switch outcome {
        case .success: Issue.record("a connection was made")
        case .failure(let error):
            #expect(error.kind == kind)
            #expect(error.description.contains(text))
        }
    }

    /// Closes both ends, which must have gone well.
    func close(_ client: TLSBridge, _ server: TLSBridge) async throws {
        async let first: Void = client.close()
        await server.close()
        await first
        #expect(client.failure == nil)
        #expect(server.failure == nil)
    }
}

/// Random bytes.
func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    let page = PageContents.random(using: &random)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count {
        // Each page with its number, so that none can take another's place.
        bytes += page[..<(pageByteCount - 2)]
        bytes.append(UInt8(truncatingIfNeeded: bytes.count >> 12))
        bytes.append(UInt8(truncatingIfNeeded: bytes.count >> 20))
    }
    bytes.removeSubrange(count...)
    return bytes
}

/// Compares without listing how megabytes differ, which `#expect` would.
func expectEqual(
    _ actual: [UInt8], _ expected: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
) {
    let isEqual = actual == expected
    #expect(
        isEqual, "\(actual.count) bytes arrived, of \(expected.count)",
        sourceLocation: sourceLocation)
}

/// A number that threads share.
final class Counter: Sendable {
    private let atomic = Atomic<Int>(0)
    var value: Int { atomic.load(ordering: .relaxed) }
    func add(_ count: Int) { atomic.add(count, ordering: .relaxed) }
}

/// Writes as an engine does, on a thread of its own, and ends its sending.
func writeAll(
    _ bytes: [UInt8], to bridge: TLSBridge, counting counter: Counter = Counter(),
    ends: Bool = true
) async throws {
    let descriptor = bridge.descriptor
    try await onThread {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = try unsafe rest.prefix(65536).withUnsafeBytes {
                try unsafe descriptor.write($0)
            }
            rest.removeFirst(written)
            counter.add(written)
        }
        if ends { shutdown(descriptor.rawValue, Int32(SHUT_WR)) }
    }
}

/// Reads as an engine does, on a thread of its own, to the end of the input.
func readAll(_ bridge: TLSBridge) async throws -> [UInt8] {
    let descriptor = bridge.descriptor
    return try await onThread {
        var all: [UInt8] = []
        while case let piece = try readOnce(descriptor), !piece.isEmpty {
            all += piece
        }
        return all
    }
}

/// Reads what is there, once something is.
func read(_ bridge: TLSBridge) async throws -> [UInt8] {
    let descriptor = bridge.descriptor
    return try await onThread { try readOnce(descriptor) }
}

private func readOnce(_ descriptor: FileDescriptor) throws -> [UInt8] {
    try unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
        count = try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
    }
}

/// Runs what blocks apart from the threads that tasks share.
private func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(with: Result { try body() })
        }
    }
}

/// The openssl command as a peer.
final class OpenSSL: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): used by one task, and never by two at a time.
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init(_ arguments: [String], in certificates: TestCertificates) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(fileURLWithPath: certificates.folder)
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    func write(_ bytes: [UInt8]) throws {
        try input.fileHandleForWriting.write(contentsOf: Data(bytes))
    }

    /// The first line of its output that fits.
    func line(where fits: (String) -> Bool) async throws -> String {
        let descriptor = FileDescriptor(
            rawValue: output.fileHandleForReading.fileDescriptor)
        var text = ""
        while true {
            let piece = try await onThread { try readOnce(descriptor) }
            try #require(!piece.isEmpty, "openssl has ended")
            text += String(decoding: piece, as: UTF8.self)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            if let line = lines.dropLast().first(where: { fits(String($0)) }) {
                return String(line)
            }
        }
    }

    func end() {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
