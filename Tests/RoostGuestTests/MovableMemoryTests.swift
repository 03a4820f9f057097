import Glibc
import LabSupport
@testable import RoostGuest
import RoostMemory
@testable import RoostMigration
import RoostSystem
import SystemPackage
import Testing

@Suite("Movable memory", .timeLimit(.minutes(5)))
struct MovableMemoryTests {
    private static let samples: [GuestMessage] = [
        .hello(version: 1, processID: 4711, awaitsArrival: true), .complete,
        .block(name: "pc.ram", baseAddress: 0x7F00_0000_0000, byteCount: 1 << 40),
        .block(name: String(repeating: "n", count: 255), baseAddress: 0, byteCount: 4096),
        .answer(.trackSynchronously, failure: .invalidArgument), .answer(.arrived, failure: nil),
    ]

    @Test("a message that was written is read back", arguments: samples)
    func messages(message: GuestMessage) throws {
        let (near, far) = try StreamSocket.pair()
        try message.send(to: near)
        let received = try GuestMessage.receive(from: far)?.message
        #expect(received == message)
    }

    @Test("any bytes are a message or are refused", arguments: 0..<200 as Range<UInt64>)
    func anyBytes(seed: UInt64) throws {
        var random = SystemRandomNumberGenerator()
        var bytes = (0..<GuestProtocol.messageByteCount).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        bytes[0] = UInt8(seed % 6)
        // SAFETY: bytes are plain values.
        let span = unsafe bytes.span.bytes
        let message = GuestMessage(span)
        if case .block(let name, _, _) = message { #expect(!name.isEmpty) }
    }

    @Test("blocks that cannot be are refused")
    func wrongBlocks() throws {
        let folder = try TemporaryFolder()
        for blocks in [
            [("", 4096)], [("a", 0)], [("a", 100)], [("a", 4096), ("a", 4096)],
            [(String(repeating: "n", count: 256), 4096)],
        ] {
            let error = #expect(throws: GuestError.self) {
                _ = try MovableMemory.open(blocks: blocks, socket: folder.file("guest"))
            }
            #expect(error?.kind == .block)
        }
    }

    @Test("a socket that cannot be is refused")
    func wrongSocket() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: GuestError.self) {
            _ = try MovableMemory.open(
                blocks: [("a", 4096)], socket: folder.file("missing/guest"))
        }
        #expect(error?.kind == .socket)
    }

    @Test(
        "a peer that breaks the protocol harms nobody", arguments: [[0xFF], [], [0x61, 0x61, 0]])
    func malformedPeer(bytes: [UInt8]) async throws {
        let folder = try TemporaryFolder()
        let program = try await TestGuest.start(folder, pages: 4)
        for _ in 0..<5 {
            let peer = try StreamSocket.connect(to: .unix(path: folder.file("guest")))
            if !bytes.isEmpty {
                // SAFETY: bytes are plain values.
                try peer.send(unsafe bytes.span.bytes)
            }
            peer.shutdown(.writing)
            // The guest answers what it understood, then ends the connection.
            while let message = try? GuestMessage.receive(from: peer)?.message { _ = message }
        }
        let guest = try ProcessGuest.connect(to: folder.file("guest"))
        #expect(guest.blocks.count == 2)
        withExtendedLifetime(program) {}
    }

    @Test("the guest keeps no descriptor of what it offered")
    func keepsNothing() async throws {
        let test = try await TestGuest()
        func descriptors() -> Int { SmallFile.names(in: "/proc/\(test.guest.processID)/fd").count }
        let before = descriptors()
        for _ in 0..<10 {
            let async = try test.guest.protection(.asynchronous)
            let sync = try test.guest.protection(.synchronous)
            withExtendedLifetime(async) {}
            withExtendedLifetime(sync) {}
        }
        // The answer may be here before the guest has closed its copy.
        _ = try await poll(TestGuest.limit, "the copies' end") {
            descriptors() == before ? true : nil
        }
    }

    @Test("memory arrives, and what broke off before leaves none of it")
    func arrival() async throws {
        let folder = try TemporaryFolder()
        let program = try await TestGuest.start(folder, pages: 4, incoming: true)
        let path = folder.file("guest")
        do {
            let first = try ProcessGuest.connect(to: path)
            #expect(first.awaitsArrival)
            let memory = try MemorySpace(capacity: 4 * pageByteCount)
            try memory.addFile(
                first.blocks[0].memoryFile, byteCount: 4 * pageByteCount, isWritable: true,
                requiresSeal: true)
            memory.storeWord(11, at: 8)
        }
        let second = try ProcessGuest.connect(to: path)
        let memory = try MemorySpace(capacity: 4 * pageByteCount)
        try memory.addFile(
            second.blocks[0].memoryFile, byteCount: 4 * pageByteCount, isWritable: true,
            requiresSeal: true)
        #expect(memory.loadWord(at: 8) == 0)
        #expect(!program.lines.contains { $0.text == "ARRIVED" })
        try second.arrived()
        try await program.line { $0 == "ARRIVED" }
        // The same connection serves the guest's next move.
        let tracker = try second.tracker(.automatic)
        #expect(tracker.name == "wp-async")
        let again = #expect(throws: MigrationError.self) { try second.arrived() }
        #expect(again?.kind == .guest)
    }

    @Test("a process's own memory ends with its last mention")
    func ending() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("guest")
        var memory: MovableMemory? = try MovableMemory.open(
            blocks: [("a", 4096)], socket: path)
        let block = try memory?.add(name: "b", byteCount: 8192)
        #expect(block?.byteCount == 8192)
        #expect(memory?.blocks.map(\.name) == ["a", "b"])
        #expect(throws: GuestError.self) { try memory?.add(name: "b", byteCount: 4096) }
        memory = nil
        let gone = unsafe access(path, F_OK)
        #expect(gone != 0)
    }
}
