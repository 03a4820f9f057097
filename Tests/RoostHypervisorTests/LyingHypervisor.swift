import Foundation
import RoostMemory
import RoostSystem
import Synchronization
import SystemPackage

@testable import RoostHypervisor

/// What pretends to be a hypervisor at the other end of a socket, and sends bad memory.
final class LyingHypervisor: Sendable {
    enum File: Int {
        case unsealed, short
    }

    let file = Atomic<Int>(0)
    private let socket: StreamSocket

    init(_ socket: StreamSocket) {
        self.socket = socket
    }

    /// Answers until the other end closes.
    func start() {
        Thread.detachNewThread { [self] in
            while let message = try? receive() {
                try? answer(message)
            }
        }
    }

    private func receive() throws -> ControlMessage? {
        var bytes: [UInt8] = []
        while bytes.count < ControlMessage.byteCount {
            var chunk = [UInt8](repeating: 0, count: ControlMessage.byteCount - bytes.count)
            var span = chunk.mutableSpan
            var room = unsafe span.mutableBytes
            let count = try socket.receive(into: &room).byteCount
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
        return ControlMessage(bytes)
    }

    private func answer(_ message: ControlMessage) throws {
        guard message.request != 0 else { return }
        var answer = ControlMessage(answering: message)
        switch ControlMessage.Operation(rawValue: message.operation) {
        case .hello:
            let (store, other) = try StreamSocket.pair()
            defer { withExtendedLifetime(other) {} }
            let page = try MemoryFile.make(name: "test", byteCount: DomainPage.byteCount)
            let words = try PageWindow(pageCount: 1)
            try words.map(page.descriptor, filePage: 0, count: 1, at: 0, isWritable: true)
            words.storeReleasing(1, at: DomainPage.generationOffset)
            answer.words[0] = 5
            answer.hasMore = true
            try socket.send(unsafe answer.bytes.span.bytes, passing: store.descriptor)
            answer.hasMore = false
            try socket.send(unsafe answer.bytes.span.bytes, passing: page.descriptor)
        case .makeSegment:
            answer.words = [1, 8, 0, 0]
            try send(answer)
        case .nextSegment:
            answer.words = [message.words[1] + 1, 8, 2, 0]
            try send(answer)
        default:
            break
        }
    }

    /// Sends a file that is not what it should be.
    private func send(_ answer: ControlMessage) throws {
        if file.load(ordering: .acquiring) == File.short.rawValue {
            let short = try MemoryFile.make(name: "test", byteCount: pageByteCount)
            try socket.send(unsafe answer.bytes.span.bytes, passing: short.descriptor)
        } else {
            let name = "/tmp/roost-test-" + String(UInt64.random(in: 0 ... .max), radix: 36)
            let plain = try FileDescriptor.open(
                FilePath(name), .readWrite, options: [.create, .exclusiveCreate],
                permissions: .ownerReadWrite)
            defer { try? plain.close() }
            _ = unsafe unlink(name)
            try plain.resize(to: 16 * Int64(pageByteCount))
            try socket.send(unsafe answer.bytes.span.bytes, passing: plain)
        }
    }
}
