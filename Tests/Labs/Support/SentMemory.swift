import RoostMemory
import RoostSystem
import SystemPackage

/// The memory of a stopped source as its QEMU sent it, to compare with what arrived.
///
/// That is the source's memory itself, except for what QEMU's software emulation (TCG) loses: its
/// processor's thread marks a page as dirty and then lets the next writes to it pass unseen, while
/// the migration's thread clears the mark in between. From then on nobody tells of that page, and
/// it arrives as it was. QEMU 10.0 did so with no Roost in between, in 1 of 150 moves of a guest
/// that wrote without pause: of a page that was written from end to end, the first byte arrived.
///
/// So where pages differ from the source's, another QEMU loads what the source sent, byte for byte
/// and with no Roost on the way, and its memory is what has to be everywhere.
package struct SentMemory: Sendable {
    /// The file of the memory that was sent.
    package let file: String
    /// The pages that are not as the source left them, since its QEMU did not send them again.
    package let lostPages: [Int]
    private let reference: LabQEMU?

    /// Finds out what was sent.
    ///
    /// - Parameters:
    ///   - source: Where the guest was.
    ///   - arrived: The file of the memory at a place behind.
    ///   - recording: What the source sent.
    ///   - makeReference: Starts a QEMU that waits for the guest, stopped.
    /// - Throws: `LabError` when the other QEMU does not load what was sent.
    package init(
        of source: LabQEMU, arrived: String, recording: String,
        reference makeReference: () async throws -> LabQEMU
    ) async throws {
        guard try !MemoryFiles.differingPages(source.memoryFile, arrived).isEmpty else {
            file = source.memoryFile
            lostPages = []
            reference = nil
            return
        }
        let reference = try await makeReference()
        try await reference.load(recording: recording)
        self.reference = reference
        file = reference.memoryFile
        lostPages = try MemoryFiles.differingPages(source.memoryFile, file)
        print("lab: QEMU's own loss, found without Roost, of the pages \(lostPages)")
    }

    /// Ends the other QEMU, where there is one.
    package func close() async throws { try await reference?.close() }
}

extension LabQEMU {
    /// Has a QEMU that waits load a recorded stream, and waits until it has.
    package func load(recording: String) async throws {
        let socket = try StreamSocket.connect(to: try await listen())
        try await DedicatedThread.run(name: "replay") {
            let file = try FileDescriptor.open(FilePath(recording), .readOnly)
            try file.closeAfter {
                var queue = ByteQueue(capacity: 256 << 10)
                while try queue.fill(from: file) > 0 { try queue.drainAll(to: socket.descriptor) }
            }
        }
        // What it answers on the way back is short; it is not read, and the socket stays open.
        try await status("paused")
        socket.shutdown(.both)
    }
}
