import Foundation
import RoostMemory
import RoostSystem
import SystemPackage
import Testing

@testable import RoostHypervisor

@Suite("Processes that are killed")
struct EmbeddedCrashTests {
    @Test("a client killed by SIGKILL loses all it had, at once, and nobody else anything")
    func killedClient() async throws {
        let machine = try TestHypervisor()
        let peer = try machine.domain("peer")
        let neighbour = try machine.domain("neighbour")
        // The neighbour's dealings with the peer, which must not notice anything.
        var neighbourGrants = try peer.makeAllocator(for: neighbour.id, pageLimit: 1)
        let neighbourPage = try neighbourGrants.claim(.readWrite)
        var neighbourMapper = try neighbour.makeMapper(of: peer.id)
        let neighbourWindow = try PageWindow(pageCount: 1)
        _ = try neighbourMapper.map(
            [neighbourPage.reference], .readWrite, into: neighbourWindow, at: 0)
        let neighbourChannel = try peer.allocateUnbound(for: neighbour.id)
        let neighbourEnd = try neighbour.bind(to: peer.id, port: neighbourChannel.port)

        let client = try ClientProcess(["domain", machine.location.socketPath, "\(peer.id)"])
        let id = DomainID(rawValue: UInt16(try client.numbers(after: "domain")[0]))
        var allocator = try peer.makeAllocator(for: id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        let made = try peer.allocateUnbound(for: id)
        client.say("\(page.reference) \(made.port)")
        let told = try client.numbers(after: "ready")
        let reference = GrantReference(rawValue: told[0])
        var mapper = try peer.makeMapper(of: id)
        let window = try PageWindow(pageCount: 2)
        let mapping = try mapper.map([reference], .readWrite, into: window, at: 0)
        let bound = try peer.bind(to: id, port: EventPort(rawValue: told[1]))
        try made.notify()
        try bound.notify()
        let refused = allocator.release(page)
        #expect(!refused, "the client has it mapped")

        client.kill()
        let isUnmapped = await eventually { !allocator.isInUse(page) }
        #expect(isUnmapped)
        let released = allocator.release(page)
        #expect(released)
        let kinds = [failureKind { try made.notify() }, failureKind { try bound.notify() }]
        #expect(kinds == [.eventChannel, .eventChannel])
        #expect(window.isFilled(page: 0, with: 0x5a), "what is mapped stays memory")
        let gone = failureKind { _ = try mapper.map([reference], .readOnly, into: window, at: 1) }
        #expect(gone == .grant)
        try mapper.unmap(mapping)
        let held = mapper.segments.count { $0 != nil }
        #expect(held == 0, "the dead client's memory is given back")

        let isUsed = neighbourGrants.isInUse(neighbourPage)
        #expect(isUsed)
        try neighbourChannel.notify()
        try neighbourEnd.notify()
        let heard = (
            isReadable(neighbourChannel.descriptor), isReadable(neighbourEnd.descriptor)
        )
        #expect(heard == (true, true))
    }

    @Test("the first who needs a hypervisor starts one, others share it, and it ends when idle")
    func launching() async throws {
        let directory = "/tmp/roost-hv-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let location = try HypervisorLocation(directory: directory)
        let program = try ClientProcess.path()
        let domains = try await withThrowingTaskGroup(of: EmbeddedDomain.self) { group in
            for index in 0..<4 {
                group.addTask {
                    try await HypervisorLauncher.connect(
                        at: location, name: "d\(index)", program: program)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(domains.map(\.id.rawValue)) == [1, 2, 3, 4], "one hypervisor serves all")
        for domain in domains { domain.disconnect() }
        let isGone = await eventually {
            !FileManager.default.fileExists(atPath: location.socketPath)
        }
        #expect(isGone)
    }

    @Test("a hypervisor that cannot be started says why")
    func launchFailures() async throws {
        let directory = "/tmp/roost-hv-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let location = try HypervisorLocation(directory: directory)
        let missing = await #expect(throws: HypervisorError.self) {
            try await HypervisorLauncher.ensureRunning(at: location, program: "/nowhere/roost")
        }
        #expect(missing?.errno == .noSuchFileOrDirectory)
        let ending = await #expect(throws: HypervisorError.self) {
            try await HypervisorLauncher.ensureRunning(at: location, program: "/bin/false")
        }
        #expect(ending?.kind == .system)
        let unwritable = try HypervisorLocation(directory: "/proc/roost")
        let folder = await #expect(throws: HypervisorError.self) {
            try await HypervisorLauncher.ensureRunning(at: unwritable, program: "/bin/false")
        }
        #expect(folder?.kind == .system)
    }
}

/// The helper program, run and killed by a test.
final class ClientProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var rest: [UInt8] = []

    /// Where the program is: beside the tests.
    static func path() throws -> String {
        let me = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(fileURLWithPath: me).deletingLastPathComponent()
            .appendingPathComponent("hypervisor-client").path
    }

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: try Self.path())
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// Writes a line to its input.
    func say(_ line: String) {
        input.fileHandleForWriting.write(Data("\(line)\n".utf8))
    }

    /// The numbers of the next line, which begins with a word.
    func numbers(after word: String) throws -> [UInt32] {
        while !rest.contains(UInt8(ascii: "\n")) {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "the client ended")
            rest += data
        }
        let line = rest.prefix { $0 != UInt8(ascii: "\n") }
        rest.removeFirst(line.count + 1)
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        try #require(words.first ?? "" == word)
        return words.dropFirst().compactMap { UInt32($0) }
    }

    /// Kills it by SIGKILL and reaps it.
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    deinit {
        if process.isRunning { kill() }
    }
}
