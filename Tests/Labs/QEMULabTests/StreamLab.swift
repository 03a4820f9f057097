import LabSupport
import RoostMigration
import RoostSystem
import StreamSupport
import Testing

/// What became of a stream in a QEMU that waited for one.
private enum Loading: Equatable {
    /// It was loaded; QEMU is paused with it.
    case loaded
    /// QEMU ended with this status.
    case ended(Int32)
}

/// A QEMU with the machine of a recording, waiting; its main memory is a file.
private struct Waiting {
    let qemu: LabQEMU
    /// The file of the main memory.
    let memory: String
    private let folder: LabSupport.TemporaryFolder

    /// Starts one, with main memory of `memoryKiB`.
    init(_ binary: String, machine: String, memoryKiB: Int = 4160) async throws {
        folder = try LabSupport.TemporaryFolder()
        memory = folder.file("ram")
        // The recordings' guest is firmware of 64 KiB, and it comes with the stream.
        let firmware = folder.file("bios")
        _ = try StreamTools.extract(
            path: "\(StreamFixtures.folder)/7.2-q35-paused.stream.gz", block: "pc.bios",
            output: firmware, maximumRAMByteCount: 1 << 30
        ) { _ in }
        var configuration = LabQEMU.Configuration(binary: binary)
        configuration.machine = "\(machine),memory-backend=pc.ram"
        configuration.memoryKiB = memoryKiB
        configuration.boots = false
        configuration.waits = true
        configuration.stopped = true
        configuration.extraArguments = [
            "-bios", firmware, "-object",
            "memory-backend-file,id=pc.ram,size=\(memoryKiB)K,mem-path=\(memory),share=on",
        ]
        qemu = try await LabQEMU("destination", configuration)
    }

    /// Has QEMU load a stream, and waits until it has or has ended.
    func load(_ path: String, capabilities: [String] = []) async throws -> Loading {
        let events = qemu.control.events()
        let switches = (["events"] + capabilities).map { name -> JSONValue in
            ["capability": .string(name), "state": true]
        }
        try await qemu.control.execute(
            "migrate-set-capabilities", ["capabilities": .array(switches)])
        // A QEMU that refuses the stream may end before it answers.
        _ = try? await qemu.control.execute(
            "migrate-incoming", ["uri": .string("exec:cat \(path)")])
        for await event in events where event.name == "MIGRATION" {
            if event.data["status"]?.string == "completed" { return .loaded }
        }
        return .ended(try await qemu.child.exit())
    }

    /// What QEMU wrote to its standard error.
    var errors: String {
        qemu.child.lines.filter(\.isError).map(\.text).joined(separator: "\n")
    }
}

/// Streams as real QEMUs take them: what Roost writes is loaded, and what it refuses or takes is
/// compared with what QEMU does.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: LabAssets.missing.isEmpty, "\(LabAssets.missing)"))
struct StreamLab {
    init() { BrokenPipes.ignore() }

    // MARK: Malformed streams

    /// Each row of the table of unusual streams, against QEMU 7.2 with the recording's machine: it
    /// says of it what the row says, as Roost does in the fast tests.
    @Test(arguments: UnusualStream.all.filter { !$0.isWaitedFor })
    func `MIG-11 QEMU 7.2 makes of an unusual stream what the table says`(
        row: UnusualStream
    ) async throws {
        let folder = try LabSupport.TemporaryFolder()
        try CommandLineTool.write(try row.bytes(), to: folder.file("stream"))
        let machine = row.recording.split(separator: "-")[1]
        let waiting = try await Waiting(
            try LabAssets.locate().qemu, machine: String(machine))
        let outcome = try await waiting.load(
            folder.file("stream"), capabilities: row.capabilities)
        try await waiting.qemu.close()
        let errors = waiting.errors
        switch row.qemu {
        case .waits: break
        case .crashed(let text):
            #expect(outcome != .loaded && outcome != .ended(1))
            #expect(errors.contains(text), "\(errors)")
        case .accepted(let text):
            #expect(outcome == .loaded, "\(errors)")
            #expect(text.map { errors.contains($0) } ?? true, "\(errors)")
        case .refused(let texts):
            #expect(outcome == .ended(1))
            for text in texts {
                #expect(errors.contains(text), "\(errors)")
            }
        }
    }

    // MARK: Converted streams

    /// A converted stream loads where the original would have, and brings the same memory.
    @Test(
        arguments: [
            ("7.2-q35-paused.stream", "q35"), ("7.2-q35-rounds.stream", "q35"),
            ("7.2-q35-xbzrle.stream", "q35"), ("7.2-pc-compress.stream", "pc"),
            ("7.2-pc-xbzrle-compress.stream", "pc"), ("7.2-q35-return-path.to-destination", "q35"),
            ("7.2-q35-background-snapshot.stream", "q35"), ("10.0-pc-q35-7.2.stream", "q35"),
        ], [PageEncoding.plain, .xbzrle, .compressed(level: 1)])
    func `MIG-14 QEMU 7.2 loads what was converted`(
        stream: (file: String, machine: String), encoding: PageEncoding
    ) async throws {
        var capabilities: [String] = []
        if case .compressed = encoding { capabilities = ["compress"] }
        try await loadConverted(
            stream.file, encoding, into: try LabAssets.locate().qemu, machine: stream.machine,
            capabilities: capabilities)
    }

    /// QEMU 10 no longer knows compressed pages: converted, the same guest loads there.
    @Test func `MIG-14 a compressed stream loads in QEMU 10 once it is converted`() async throws {
        let qemu10 = try LabAssets.locate().qemu10
        let folder = try LabSupport.TemporaryFolder()
        try CommandLineTool.write(
            try StreamFixtures.bytes("7.2-pc-compress.stream"), to: folder.file("stream"))
        let refusing = try await Waiting(qemu10, machine: "pc-i440fx-7.2")
        #expect(try await refusing.load(folder.file("stream")) == .ended(1))
        // 0x100, and 0x20 where the page continues a block.
        #expect(refusing.errors.contains("Unknown combination of migration flags: 0x1"))
        try await refusing.qemu.close()
        try await loadConverted(
            "7.2-pc-compress.stream", .plain, into: qemu10, machine: "pc-i440fx-7.2")
    }

    @Test(arguments: ["10.0-q35-paused.stream", "10.0-q35-rounds.stream", "10.0-q35-xbzrle.stream"])
    func `MIG-14 QEMU 10 loads what was converted`(file: String) async throws {
        for encoding in [PageEncoding.plain, .xbzrle] {
            try await loadConverted(
                file, encoding, into: try LabAssets.locate().qemu10, machine: "q35")
        }
    }

    private func loadConverted(
        _ file: String, _ encoding: PageEncoding, into binary: String, machine: String,
        capabilities: [String] = []
    ) async throws {
        let folder = try LabSupport.TemporaryFolder()
        let original = "\(StreamFixtures.folder)/\(file).gz"
        _ = try StreamTools.convert(
            path: original, output: folder.file("stream"), encoding: encoding,
            maximumRAMByteCount: 1 << 30
        ) { _ in }
        let waiting = try await Waiting(binary, machine: machine)
        let outcome = try await waiting.load(folder.file("stream"), capabilities: capabilities)
        #expect(outcome == .loaded, "\(waiting.errors)")
        _ = try StreamTools.extract(
            path: original, block: "pc.ram", output: folder.file("block"),
            maximumRAMByteCount: 1 << 30
        ) { _ in }
        #expect(
            try CommandLineTool.sha256(ofFile: waiting.memory)
                == CommandLineTool.sha256(ofFile: folder.file("block")))
        try await waiting.qemu.close()
    }

    // MARK: A guest that runs Linux

    /// Linux in 256 MiB, stopped and saved: what is extracted is what QEMU's monitor and the file
    /// of its memory show.
    @Test func `MIG-14 what is extracted of a Linux guest is its memory`() async throws {
        try await LabClock.measure("stream of a Linux guest") {
            let folder = try LabSupport.TemporaryFolder()
            let stream = folder.file("stream")
            let memoryKiB = 262_208
            var configuration = LabQEMU.Configuration(binary: try LabAssets.locate().qemu)
            configuration.machine = "q35,memory-backend=pc.ram"
            configuration.memoryKiB = memoryKiB
            configuration.extraArguments = [
                "-object",
                "memory-backend-file,id=pc.ram,size=\(memoryKiB)K,mem-path=\(folder.file("ram")),share=on",
            ]
            let qemu = try await LabQEMU("source", configuration)
            try await qemu.counter(atLeast: 3)
            try await qemu.stop()
            let events = qemu.control.events()
            try await qemu.control.execute(
                "migrate-set-capabilities",
                ["capabilities": [["capability": "events", "state": true]]])
            try await qemu.control.execute(
                "migrate", ["uri": .string("exec:cat > \(stream)")])
            for await event in events where event.name == "MIGRATION" {
                let status = event.data["status"]?.string
                try #require(status != "failed")
                if status == "completed" { break }
            }
            let report = try StreamTools.verify(path: stream, maximumRAMByteCount: 1 << 30) { _ in }
            print("lab stream of a Linux guest: \(report.byteCount) bytes, \(report.memory)")
            let taken = try StreamTools.extract(
                path: stream, block: "pc.ram", output: folder.file("block"),
                maximumRAMByteCount: 1 << 30
            ) { _ in }
            #expect(taken.pages == taken.pagesNamed)
            #expect(taken.pages == UInt64(memoryKiB / 4))
            let extracted = try CommandLineTool.sha256(ofFile: folder.file("block"))
            #expect(try CommandLineTool.sha256(ofFile: folder.file("ram")) == extracted)

            // By the monitor: not between 640 KiB and 1 MiB, where firmware lies over the memory.
            for (start, end) in [(0, 640 << 10), (1 << 20, memoryKiB << 10)] {
                try await qemu.pmemsave(
                    address: UInt64(start), byteCount: UInt64(end - start),
                    to: folder.file("saved"))
                _ = try CommandLineTool.output(
                    of: "cmp", "-n", "\(end - start)", folder.file("saved"), folder.file("block"),
                    "0", "\(start)")
            }

            // Converted, it is smaller or as large, and the same memory.
            for encoding in [PageEncoding.plain, .xbzrle, .compressed(level: 1)] {
                let converted = try StreamTools.convert(
                    path: stream, output: folder.file("converted"), mayReplace: true,
                    encoding: encoding, maximumRAMByteCount: 1 << 30
                ) { _ in }
                print("lab stream of a Linux guest, \(encoding): \(converted.bytesWritten) bytes")
                _ = try StreamTools.extract(
                    path: folder.file("converted"), block: "pc.ram",
                    output: folder.file("block"), mayReplace: true, maximumRAMByteCount: 1 << 30
                ) { _ in }
                #expect(try CommandLineTool.sha256(ofFile: folder.file("block")) == extracted)
            }
            try await qemu.close()
        }
    }
}
