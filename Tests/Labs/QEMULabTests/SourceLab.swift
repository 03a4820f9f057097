import LabSupport
import RoostMemory
import RoostMigration
import RoostSystem
import Synchronization
import SystemPackage
import Testing

/// Roost's own source before real QEMUs, and real QEMUs before Roost's own destination.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: LabAssets.missing.isEmpty, "\(LabAssets.missing)"))
struct SourceLab {
    /// The guest's memory: no multiple of 256 KiB.
    private static let memoryKiB = 16_448

    let assets: LabAssets

    init() throws {
        BrokenPipes.ignore()
        assets = try LabAssets.locate()
    }

    /// How a source sends.
    struct Way: Sendable, CustomTestStringConvertible {
        var deltas = false
        var compresses = false
        var dialect = MigrationDialect.qemu72
        var answers = true

        var testDescription: String {
            let ways = [deltas ? "xbzrle" : "", compresses ? "compress" : ""]
                .filter { !$0.isEmpty }
            return (ways.isEmpty ? "plain" : ways.joined(separator: ", "))
                + ", \(dialect)" + (answers ? ", return path" : "")
        }

        var parameters: MigrationParameters {
            var parameters = MigrationParameters()
            parameters.machineType = "pc-q35-7.2"
            parameters.dialect = dialect
            parameters.opensReturnPath = answers
            parameters.downtimeLimit = .zero
            if deltas { parameters.xbzrleCacheByteCount = 8 << 20 }
            if compresses { parameters.compression = .init(threads: 2) }
            return parameters
        }
    }

    /// A QEMU without a processor that runs, waiting for the memory of a guest.
    private func waiting(
        _ binary: String, capabilities: [String] = []
    ) async throws -> (qemu: LabQEMU, endpoint: Endpoint) {
        var configuration = LabQEMU.Configuration(binary: binary)
        configuration.machine = "pc-q35-7.2"
        configuration.memoryKiB = Self.memoryKiB
        configuration.boots = false
        configuration.waits = true
        configuration.stopped = true
        configuration.sharesMemory = true
        let qemu = try await LabQEMU("destination", configuration)
        let switches = capabilities.map { name -> JSONValue in
            ["capability": .string(name), "state": true]
        }
        if !switches.isEmpty {
            try await qemu.control.execute(
                "migrate-set-capabilities", ["capabilities": .array(switches)])
        }
        return (qemu, try await qemu.listen())
    }

    /// A source whose stream goes to an endpoint.
    private func source(
        of guest: WritingGuest, _ parameters: MigrationParameters, to endpoint: Endpoint
    ) throws -> MigrationSource {
        let socket = try StreamSocket.connect(to: endpoint)
        return try MigrationSource(
            blocks: [guest.block], tracker: guest, guest: guest, throttle: nil,
            to: try socket.descriptor.duplicate(), parameters: parameters)
    }

    // MARK: To a QEMU

    private func move(_ way: Way, to binary: String, name: String) async throws {
        try await LabClock.measure("source to \(name), \(way.testDescription)") {
            let guest = try WritingGuest("pc.ram", kibibytes: Self.memoryKiB, rounds: 6)
            let (qemu, endpoint) = try await waiting(
                binary, capabilities: way.compresses ? ["compress"] : [])
            let source = try source(of: guest, way.parameters, to: endpoint)
            let statistics: MigrationStatistics
            do throws(MigrationError) {
                statistics = try await source.run()
            } catch {
                throw LabError("\(error)\n\(qemu.child.text)")
            }
            try await qemu.status("paused")
            #expect(try MemoryFiles.differingPages(guest.path, qemu.memoryFile) == [])
            #expect(statistics.status == .completed)
            #expect(statistics.ram.dirtySyncCount >= 6)
            #expect(statistics.ram.duplicate >= UInt64(Self.memoryKiB / 4 / 4))
            if let cache = statistics.xbzrleCache {
                #expect(way.deltas && cache.pages > 100 && cache.bytes < cache.pages * 4096)
            }
            if let compression = statistics.compression {
                #expect(way.compresses && compression.pages > 1000)
                #expect(compression.compressedSize < compression.pages * 4096)
            }
            try await qemu.close()
        }
    }

    @Test(
        arguments: [
            Way(), Way(answers: false), Way(deltas: true), Way(deltas: true, answers: false),
            Way(compresses: true), Way(compresses: true, answers: false),
            Way(deltas: true, compresses: true),
            Way(deltas: true, dialect: .qemu2015), Way(compresses: true, dialect: .qemu2015),
            Way(deltas: true, compresses: true, dialect: .qemu2015, answers: false),
        ])
    func `MIG-12 QEMU 7.2 loads what a source sends`(way: Way) async throws {
        try await move(way, to: assets.qemu, name: "7.2")
    }

    @Test(arguments: [Way(), Way(answers: false), Way(deltas: true)])
    func `MIG-12 QEMU 10 loads what a source sends`(way: Way) async throws {
        try await move(way, to: assets.qemu10, name: "10.0")
    }

    // MARK: From a QEMU

    /// What QEMU has, to be written by a destination.
    private static func blocks() throws -> [WritingGuest] {
        try [
            ("pc.ram", TinyGuest.memoryKiB), ("pc.bios", 64), ("pc.rom", 128),
        ].map { try WritingGuest($0.0, kibibytes: $0.1, rounds: 0) }
    }

    private static func resizable(_ name: String, _ used: UInt64, _ maximum: UInt64) throws
        -> (MigratedBlock, MappedRegionHolder)
    {
        let holder = try MappedRegionHolder(name, byteCount: Int(maximum))
        let block = RAMBlock(name: name, usedByteCount: used, maximumByteCount: maximum)
        return (MigratedBlock(block, memory: holder.file), holder)
    }

    /// A destination of a QEMU with the tiny guest, and where the source finds it.
    private func listening(
        _ folder: TemporaryFolder, _ options: DestinationOptions
    ) throws -> (
        endpoint: Endpoint, blocks: [WritingGuest],
        load: @Sendable () async throws -> DestinationStatistics
    ) {
        let endpoint = Endpoint.unix(path: folder.file("incoming"))
        let listener = try Listener(on: endpoint)
        let blocks = try Self.blocks()
        let others = try [
            Self.resizable("/rom@etc/acpi/tables", 128 << 10, 2 << 20),
            Self.resizable("/rom@etc/table-loader", 4096, 64 << 10),
            Self.resizable("/rom@etc/acpi/rsdp", 4096, 4096),
        ]
        return (
            endpoint, blocks,
            {
                let socket = try await DedicatedThread.run(name: "accept") {
                    try listener.accept(timeout: .seconds(60))
                }
                let destination = MigrationDestination(
                    blocks: blocks.map(\.block) + others.map(\.0),
                    from: try socket.descriptor.duplicate(), options: options)
                try socket.relinquish()
                return try await destination.run()
            }
        )
    }

    private func tiny(
        _ folder: TemporaryFolder
    ) async throws -> (LabQEMU, LabQEMU.Configuration, firmware: String) {
        var configuration = LabQEMU.Configuration(binary: assets.qemu)
        configuration.memoryKiB = TinyGuest.memoryKiB
        configuration.firmware = try await TinyGuest.build(in: folder)
        configuration.sharesMemory = true
        let qemu = try await LabQEMU("source", configuration)
        try await qemu.go()
        return (qemu, configuration, configuration.firmware ?? "")
    }

    /// A QEMU that waits for such a guest, stopped.
    private func reference(
        _ configuration: LabQEMU.Configuration, compresses: Bool
    ) async throws -> LabQEMU {
        var configuration = configuration
        configuration.waits = true
        configuration.stopped = true
        let qemu = try await LabQEMU("reference", configuration)
        try await qemu.control.execute(
            "migrate-set-capabilities",
            ["capabilities": [["capability": "compress", "state": .bool(compresses)]]])
        return qemu
    }

    @Test(
        arguments: [
            [], ["xbzrle"], ["compress"], ["return-path"], ["xbzrle", "compress", "return-path"],
        ], [0, 2])
    func `MIG-12 a QEMU 7.2 whose guest runs moves straight into a destination`(
        capabilities: [String], workers: Int
    ) async throws {
        let name = capabilities.isEmpty ? "plain" : capabilities.joined(separator: ", ")
        try await LabClock.measure("7.2 to destination, \(name), \(workers) workers") {
            let folder = try TemporaryFolder()
            let (qemu, configuration, firmware) = try await tiny(folder)
            let options = DestinationOptions(
                maximumRAMByteCount: 1 << 30, decompressionThreads: workers)
            let (endpoint, blocks, load) = try listening(folder, options)
            async let loaded = load()
            let proxy = try RecordingProxy(
                at: .unix(path: folder.file("proxy")), to: endpoint,
                recording: folder.file("source.recorded"))
            let migration = try await LabMigration(
                of: qemu, to: proxy.endpoint, capabilities: capabilities)
            // With compression on, QEMU takes no account of what is in its threads, and ends soon.
            let compresses = capabilities.contains("compress")
            if !compresses {
                try await migration.reach(round: 4)
                try await migration.hurry()
            }
            try await migration.complete()
            let statistics = try await loaded
            try await proxy.end()
            let sent = try await SentMemory(
                of: qemu, arrived: blocks[0].path, recording: proxy.recording
            ) { try await reference(configuration, compresses: compresses) }
            #expect(try MemoryFiles.differingPages(sent.file, blocks[0].path) == [])
            try await sent.close()
            #expect(try MemoryFiles.differingPages(firmware, blocks[1].path) == [])
            #expect(statistics.plainPages > 0 && statistics.zeroPages > 0)
            if !compresses {
                #expect((statistics.deltaPages > 0) == capabilities.contains("xbzrle"))
            }
            #expect((statistics.compressedPages > 0) == compresses)
            #expect(!statistics.isVerified)
            try await qemu.close()
        }
    }

    @Test(arguments: [[], ["return-path"]])
    func `MIG-9 a destination that refuses leaves the guest with QEMU`(
        capabilities: [String]
    ) async throws {
        try await LabClock.measure("7.2 to destination, refused") {
            let folder = try TemporaryFolder()
            let (qemu, _, _) = try await tiny(folder)
            let (endpoint, _, load) = try listening(
                folder, DestinationOptions(maximumRAMByteCount: 1 << 20))
            async let loaded = load()
            let migration = try await LabMigration(
                of: qemu, to: endpoint, capabilities: capabilities)
            #expect(try await migration.end() == "failed")
            do {
                _ = try await loaded
                Issue.record("it was loaded")
            } catch let error as MigrationError {
                #expect(error.kind == .limit, "\(error)")
            }
            try await qemu.status("running")
            try await qemu.turn()
            try await qemu.close()
        }
    }

    // MARK: What breaks

    @Test func `MIG-9 a QEMU that is killed half way leaves the guest here`() async throws {
        try await LabClock.measure("source to 7.2, killed") {
            let guest = try WritingGuest("pc.ram", kibibytes: Self.memoryKiB, rounds: .max)
            let (qemu, endpoint) = try await waiting(assets.qemu)
            var parameters = Way().parameters
            parameters.maximumBytesPerSecond = 4_000_000
            let source = try source(of: guest, parameters, to: endpoint)
            async let killed: Void = {
                _ = try await poll(.seconds(60), "half of the memory") {
                    source.statistics.ram.transferred > 1_000_000 ? true : nil
                }
                try await qemu.close()
            }()
            do throws(MigrationError) {
                _ = try await source.run()
                Issue.record("it was moved")
            } catch {
                #expect(error.kind == .transfer || error.kind == .peer)
                #expect(error.description.contains("see what the destination says"), "\(error)")
            }
            try await killed
            #expect(guest.runsOn)
            #expect(source.statistics.status == .failed)

            // The same guest to another.
            let (next, there) = try await waiting(assets.qemu)
            parameters.maximumBytesPerSecond = 0
            parameters.downtimeLimit = .seconds(10)
            let again = try self.source(of: guest, parameters, to: there)
            _ = try await again.run()
            try await next.status("paused")
            #expect(try MemoryFiles.differingPages(guest.path, next.memoryFile) == [])
            try await next.close()
        }
    }

    /// What QEMU will not have.
    enum Refusal: CaseIterable { case length, name, digests, machine, compression }

    @Test(arguments: Refusal.allCases)
    func `MIG-12 what QEMU refuses leaves the guest here`(refusal: Refusal) async throws {
        try await LabClock.measure("source to 7.2, refused for its \(refusal)") {
            let guest = try WritingGuest(
                refusal == .name ? "pc.other" : "pc.ram",
                kibibytes: Self.memoryKiB + (refusal == .length ? 4 : 0), rounds: 3)
            var parameters = Way(compresses: refusal == .compression).parameters
            parameters.sendsDigests = refusal == .digests
            if refusal == .machine { parameters.machineType = "microvm" }
            let (qemu, endpoint) = try await waiting(assets.qemu)
            let source = try source(of: guest, parameters, to: endpoint)
            do throws(MigrationError) {
                _ = try await source.run()
                Issue.record("it was moved")
            } catch {
                #expect(error.kind == .transfer || error.kind == .peer, "\(error)")
            }
            #expect(guest.runsOn)
            #expect(try await qemu.child.exit() == 1)
            let said = qemu.child.lines.filter(\.isError).map(\.text).joined(separator: "\n")
            let words: [Refusal: String] = [
                .length: "Size mismatch: pc.ram", .name: "Unknown ramblock \"pc.other\"",
                .digests: "Unknown savevm section or instance 'roost-digests'",
                .machine: "Machine type received is 'microvm'",
                .compression: "Received an unexpected compressed page",
            ]
            #expect(said.contains(words[refusal] ?? "?"), "\(said)")
        }
    }
}

/// Keeps a memory file.
private final class MappedRegionHolder: Sendable {
    private let region: Mutex<MappedRegion>
    let file: FileDescriptor

    init(_ name: String, byteCount: Int) throws {
        let region = try MappedRegion.memoryFile(name: "lab", byteCount: byteCount)
        guard let file = region.memoryFile else { throw LabError("no file for \(name)") }
        self.file = file
        self.region = Mutex(region)
    }
}
