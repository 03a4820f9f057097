import RoostMemory
package import RoostSystem
import SystemPackage

/// Stands between two ends of one connection, passes on every byte both ways, and keeps a copy of
/// those that go forward.
package final class RecordingProxy: Sendable {
    /// Where to connect instead.
    package let endpoint: Endpoint
    /// The file with what went forward, whole once ``end()`` has returned.
    package let recording: String

    private let listener: Listener
    private let work: Task<Void, any Error>

    /// Begins to listen.
    ///
    /// - Parameters:
    ///   - endpoint: Where.
    ///   - target: Where to connect when somebody has come.
    ///   - recording: The file to write.
    /// - Throws: `SystemError` when it cannot listen.
    package init(at endpoint: Endpoint, to target: Endpoint, recording: String) throws {
        let listener = try Listener(on: endpoint)
        self.listener = listener
        self.endpoint = listener.endpoint
        self.recording = recording
        work = Task {
            let ends = try await DedicatedThread.run(name: "proxy") {
                let near = try listener.accept()
                listener.stop()
                return (near, try StreamSocket.connect(to: target))
            }
            async let back: Void = DedicatedThread.run(name: "proxy-back") {
                Self.carry(from: ends.1, to: ends.0, copy: nil)
            }
            try await DedicatedThread.run(name: "proxy-forth") {
                let file = try FileDescriptor.open(
                    FilePath(recording), .writeOnly, options: [.create, .truncate, .closeOnExec],
                    permissions: .ownerReadWrite)
                try file.closeAfter { Self.carry(from: ends.0, to: ends.1, copy: file) }
            }
            try await back
        }
    }

    /// Carries one direction until it ends or breaks, and then ends it on the other side.
    private static func carry(
        from source: StreamSocket, to target: StreamSocket, copy: FileDescriptor?
    ) {
        var queue = ByteQueue(capacity: 256 << 10)
        var offset: Int64 = 0
        do {
            while try queue.fill(from: source.descriptor) > 0 {
                if let copy { try queue.bytes.writeAll(to: copy, at: offset) }
                offset += Int64(queue.count)
                try queue.drainAll(to: target.descriptor)
            }
            target.shutdown(.writing)
        } catch {
            // What one end did to the connection, the other sees.
            source.shutdown(.both)
            target.shutdown(.both)
        }
    }

    /// Waits until both directions have ended.
    package func end() async throws {
        listener.stop()
        try await work.value
    }

    deinit {
        listener.stop()
    }
}
