import Foundation
import LabSupport
import RoostMemory
import RoostMigration
import RoostSystem
import Testing

/// A move between two QEMUs that a proxy stops in front of a frame.
final class OwnershipStage {
    let source: LabQEMU
    let destination: LabQEMU
    let proxy: FrameProxy
    private(set) var relay: ChildProcess
    private(set) var receive: ChildProcess
    private let folder: TemporaryFolder
    private let words: (relay: [String], receive: [String])
    private let stall: StallingProxy?

    /// Starts both QEMUs, both relays and the migration.
    init(
        _ qemu: String, _ firmware: String, before kind: FrameProxy.Kind,
        stallsBehindMark: Bool = false
    ) async throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        var configuration = LabQEMU.Configuration(binary: qemu)
        configuration.memoryKiB = TinyGuest.memoryKiB
        configuration.firmware = firmware
        configuration.sharesMemory = true
        source = try await LabQEMU("source", configuration)
        configuration.waits = true
        destination = try await LabQEMU("destination", configuration)
        try await source.go()
        let incoming = try await destination.listen()
        func unix(_ name: String) -> Endpoint { .unix(path: folder.file(name)) }
        words = (
            [
                "migrate", "relay", "--listen", "\(unix("relay"))", "--connect",
                "\(unix("wire"))",
            ],
            [
                "migrate", "receive", "--listen", "\(unix("receive"))", "--connect",
                "\(incoming)",
            ]
        )
        receive = try Self.start(words.receive, folder)
        try await receive.line { $0.hasPrefix("receive: waiting for a relay") }
        proxy = try FrameProxy(at: unix("wire"), to: unix("receive"), before: kind)
        relay = try Self.start(words.relay, folder)
        try await relay.line { $0.hasPrefix("relay: waiting for a source QEMU") }
        stall =
            stallsBehindMark
            ? try StallingProxy(at: unix("stall"), to: unix("relay")) : nil
        let migration = try await LabMigration(
            of: source, to: stall?.endpoint ?? unix("relay"), witnesses: [relay, receive],
            capabilities: ["return-path"])
        try await migration.reach(round: 2)
        try await migration.hurry()
    }

    /// Starts a command whose journals lie in the stage's folder.
    private static func start(
        _ words: [String], _ folder: TemporaryFolder
    ) throws -> ChildProcess {
        try ChildProcess(
            "/usr/bin/env",
            ["ROOST_SOCKET=\(folder.file("run/hypervisor.sock"))", RoostProgram.locate()] + words,
            name: "roost " + words.prefix(2).joined(separator: " "))
    }

    /// Kills somebody, or cuts the link once.
    func strike(_ victim: OwnershipLab.Victim) async throws {
        switch victim {
        case .relay:
            relay.signal(9)
            _ = try await relay.exit()
        case .receive:
            receive.signal(9)
            _ = try await receive.exit()
        case .link: proxy.cut()
        case .source:
            source.child.signal(9)
            _ = try await source.child.exit()
        case .destination:
            destination.child.signal(9)
            _ = try await destination.child.exit()
        }
    }

    /// Starts who was killed again, where that is to answer for its move, and waits for the end of all.
    func end(after victim: OwnershipLab.Victim, at step: FrameProxy.Kind) async throws {
        let isLate = step == .commit || step == .started
        switch victim {
        case .relay where isLate:
            proxy.cut()
            relay = try Self.start(words.relay, folder)
            #expect(try await relay.exit() == 0, "\(relay.text)")
            #expect(try await receive.exit() == 0, "\(receive.text)")
        case .relay:
            proxy.cut()
            // Nobody comes back for a move that was only begun.
            receive.signal(2)
            #expect(try await receive.exit() == 1)
        case .receive where isLate:
            proxy.cut()
            receive = try Self.start(words.receive, folder)
            #expect(try await relay.exit() == (step == .started ? 0 : 1), "\(relay.text)")
            if step == .started {
                #expect(try await receive.exit() == 0, "\(receive.text)")
            } else {
                #expect(receive.text.contains("nothing of it was started"), "\(receive.text)")
                try await receive.stop()
            }
        case .receive:
            // What it said before does not arrive.
            proxy.cut()
            #expect(try await relay.exit() == 1, "\(relay.text)")
        default:
            proxy.release()
            // A receiver holds what it has for a minute, should its relay come back.
            let limit = Duration.seconds(120)
            let status = (
                try await relay.exit(within: limit), try await receive.exit(within: limit)
            )
            let isGood =
                isLate && !(step == .commit && (victim == .destination || victim == .receive))
            #expect(status == (isGood ? (0, 0) : (1, 1)), "\(relay.text)\n\(receive.text)")
        }
    }

    /// Expects the guest at a place, running at no other, and that nobody said otherwise.
    func expect(_ place: OwnershipLab.Place, _ victim: OwnershipLab.Victim) async throws {
        switch place {
        case .source:
            try await source.status("running")
            try await source.turn()
            try await expectNotStarted()
        case .stands:
            try await source.status("postmigrate")
            try await expectNotStarted()
            #expect(relay.text.contains("stands still at the source"), "\(relay.text)")
            try await source.cont()
            try await source.turn()
        case .destination:
            try await destination.status("running")
            if victim != .source { try await source.status("postmigrate") }
        case .gone:
            try await expectNotStarted()
        }
    }

    /// A destination whose stream ended before the mark ends itself.
    private func expectNotStarted() async throws {
        _ = try await destination.child.exit()
    }

    /// Runs `roost migrate resolve`.
    func resolve(_ words: [String], status: Int32 = 0) async throws -> String {
        let child = try Self.start(["migrate", "resolve"] + words, folder)
        #expect(try await child.exit() == status, "\(child.text)")
        return child.text
    }

    func close() async throws {
        proxy.end()
        try await relay.stop()
        try await receive.stop()
        try await source.close()
        try await destination.close()
    }
}

/// Passes a source's stream on, and waits a while with what looks like its description.
final class StallingProxy: Sendable {
    let endpoint: Endpoint
    private let listener: Listener

    init(at endpoint: Endpoint, to target: Endpoint) throws {
        let listener = try Listener(on: endpoint)
        self.listener = listener
        self.endpoint = listener.endpoint
        let failure = DedicatedThread.start(name: "proxy") {
            guard let near = try? listener.accept(),
                let far = try? StreamSocket.connect(to: target)
            else { return }
            _ = DedicatedThread.start(name: "proxy-back") { Self.carry(far, near, stalls: false) }
            Self.carry(near, far, stalls: true)
        }
        if let failure { throw failure }
    }

    private static func carry(_ from: StreamSocket, _ to: StreamSocket, stalls: Bool) {
        var input = ByteQueue(capacity: 64 << 10)
        var hasStalled = !stalls
        while let count = try? input.fill(from: from.descriptor), count > 0 {
            var sent = 0
            if !hasStalled, let mark = Self.mark(in: input.bytes) {
                hasStalled = true
                sent = mark + 1
                guard (try? to.send(input.bytes.extracting(0..<sent))) != nil else { break }
                // Longer than anybody who guesses would wait.
                ThisProcess.sleep(.milliseconds(900))
            }
            guard (try? to.send(input.bytes.extracting(sent..<input.count))) != nil else { break }
            input.removeAll()
        }
        to.shutdown(.both)
        from.shutdown(.both)
    }

    /// Where a zero byte stands with a description behind it.
    private static func mark(in bytes: RawSpan) -> Int? {
        var place = 0
        while place + 20 <= bytes.byteCount {
            defer { place += 1 }
            if bytes.loadBigEndian(at: place, as: UInt16.self) == 6,
                bytes.loadBigEndian(at: place + 6, as: UInt32.self) == 0x7b22_7061
                    || bytes.loadBigEndian(at: place + 6, as: UInt32.self) == 0x7b22_636f
            {
                return place
            }
        }
        return nil
    }
}
