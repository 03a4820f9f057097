import Foundation
import RoostSystem
import SystemPackage
import Testing

@testable import RoostHypervisor

/// Whether Debian's xenstore-utils are installed.
private let hasTools = FileManager.default.isExecutableFile(atPath: "/usr/bin/xenstore-ls")

@Suite(
    "Xen's own store tools against the embedded hypervisor",
    .enabled(if: hasTools, "xenstore-utils is not installed: apt-get install xenstore-utils"))
struct XenstoreToolsTests {
    let machine: TestHypervisor

    init() throws {
        machine = try TestHypervisor()
    }

    /// Runs a tool to its end.
    private func run(_ words: String...) async throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/xenstore-\(words[0])")
        process.arguments = Array(words.dropFirst())
        process.environment = ["XENSTORED_PATH": machine.location.storePath]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        let sent = SentProcess(process: process, output: output)
        return try await DedicatedThread.run(name: "tool") {
            try sent.process.run()
            let data = sent.output.fileHandleForReading.readDataToEndOfFile()
            sent.process.waitUntilExit()
            return (sent.process.terminationStatus, String(decoding: data, as: UTF8.self))
        }
    }

    @Test("write, read, exists, list, ls and rm")
    func nodes() async throws {
        #expect(try await run("write", "/tool/test/key", "value").status == 0)
        let read = try await run("read", "/tool/test/key")
        #expect(read.status == 0 && read.output == "value\n")
        #expect(try await run("exists", "/tool/test/key").status == 0)
        #expect(try await run("exists", "/tool/test/other").status != 0)
        #expect(try await run("write", "/tool/test/second", "two words").status == 0)
        let list = try await run("list", "/tool/test")
        #expect(list.output == "key\nsecond\n")
        let tree = try await run("ls", "-f", "/tool/test")
        #expect(
            tree.output == "/tool/test/key = \"value\"\n/tool/test/second = \"two words\"\n")
        #expect(try await run("rm", "/tool/test").status == 0)
        #expect(try await run("exists", "/tool/test/key").status != 0)
        let missing = try await run("read", "/tool/test/key")
        #expect(missing.status != 0 && missing.output.contains("couldn't read"))
    }

    @Test("what a domain writes is what ls shows, with its permissions")
    func domains() async throws {
        let domain = try machine.domain("web1")
        try await domain.store.writeString("4", to: StorePath("device/vbd/51712/state"))
        let tree = try await run("ls", "-p", "/local/domain")
        #expect(tree.status == 0)
        #expect(tree.output.contains("name = \"web1\""))
        #expect(tree.output.contains("state = \"4\""))
        #expect(tree.output.contains("(n\(domain.id))"))
        let path = "/local/domain/\(domain.id)/device/vbd/51712/state"
        #expect(try await run("write", path, "5").status == 0)
        #expect(try await domain.store.readString(StorePath(path)) == "5")
    }

    @Test("chmod opens a node to another domain, and shows in ls")
    func permissions() async throws {
        let owner = try machine.domain("owner")
        let other = try machine.domain("other")
        let path = try StorePath("/local/domain/\(owner.id)/name")
        let refused = await #expect(throws: HypervisorError.self) {
            _ = try await other.store.read(path, in: nil)
        }
        #expect(refused?.kind == .store)
        let changed = try await run("chmod", path.text, "n\(owner.id)", "r\(other.id)")
        #expect(changed.status == 0)
        #expect(try await other.store.readString(path) == "owner")
        let tree = try await run("ls", "-p", path.text.replacing("/name", with: ""))
        #expect(tree.output.contains("(n\(owner.id),r\(other.id))"))
        let denied = await #expect(throws: HypervisorError.self) {
            try await other.store.writeString("mine", to: path)
        }
        #expect(denied?.kind == .store)
    }

    @Test("watch shows the first event at once and then each change")
    func watching() async throws {
        let domain = try machine.domain("guest")
        let path = "/local/domain/\(domain.id)/data"
        async let watched = run("watch", "-n", "2", path)
        // The tool is there once its watch is: writes go on until it has seen one.
        let writing = Task {
            var count = 0
            while !Task.isCancelled {
                count += 1
                try await domain.store.writeString("\(count)", to: StorePath("data/key"))
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        let result = try await watched
        writing.cancel()
        #expect(result.status == 0)
        #expect(result.output == "\(path)\n\(path)/key\n")
    }

    @Test("of two transactions that conflict one happens, and the other is told to do it anew")
    func conflicts() async throws {
        let first = try await StoreClient.connect(path: machine.location.storePath)
        let second = try await StoreClient.connect(path: machine.location.storePath)
        let path = try StorePath("/tool/counter")
        try await first.writeString("0", to: path)
        let one = try await first.beginTransaction()
        let two = try await second.beginTransaction()
        #expect(try await first.readString(path, in: one) == "0")
        #expect(try await second.readString(path, in: two) == "0")
        try await first.writeString("1", to: path, in: one)
        try await second.writeString("2", to: path, in: two)
        #expect(try await run("read", "/tool/counter").output == "0\n")
        #expect(try await first.endTransaction(one, commits: true))
        #expect(try await second.endTransaction(two, commits: true) == false)
        #expect(try await run("read", "/tool/counter").output == "1\n")
        // Many at once, each adding one, lose none.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in [first, second] {
                group.addTask {
                    for _ in 0..<20 {
                        try await client.transaction { transaction throws(HypervisorError) in
                            let value = try await client.readInteger(path, in: transaction) ?? 0
                            try await client.writeString("\(value + 1)", to: path, in: transaction)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await run("read", "/tool/counter").output == "41\n")
    }

    @Test("an ordinary domain's quota of nodes holds, and the tools' does not")
    func quotas() async throws {
        let domain = try machine.domain("greedy")
        let refused = await #expect(throws: HypervisorError.self) {
            for index in 0..<2000 {
                try await domain.store.writeString("", to: StorePath("data/\(index)"))
            }
        }
        #expect(refused?.errno == .noSpace)
        #expect(try await run("write", "/tool/after", "x").status == 0)
    }
}

/// A process that one thread runs.
private struct SentProcess: @unchecked Sendable {
    // SAFETY (@unchecked Sendable): its maker hands it to one thread and keeps off it.
    let process: Process
    let output: Pipe
}
