import Foundation
import Glibc
import Logging
import RoostHost
import SystemPackage
import Testing

@Suite(.timeLimit(.minutes(1))) struct ControlServerTests {
    typealias State = ControlRig.State

    let rig: ControlRig
    let web1: ControlName

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        rig = try ControlRig()
        web1 = try ControlName(.disk, "web1")
    }

    @Test func `a snapshot arrives as it was, of any length`() async throws {
        let state = State(words: (0..<20_000).map { "wörd \($0) \"/\\\u{1}" }, count: .max)
        let server = try await rig.server { state }
        try await rig.serving(server) {
            let arrived = try await rig.client.snapshot(State.self, of: web1)
            #expect(arrived == state)
            let again = try await rig.client.snapshot(State.self, of: web1)
            #expect(again == state)
        }
        #expect(rig.files == [])
    }

    @Test func `the socket is for this user alone, whatever the umask`() async throws {
        let before = umask(0)
        defer { umask(before) }
        let server = try await rig.server()
        #expect(try rig.mode(server.path) == 0o600)
    }

    @Test func `a missing run directory is made for this user alone`() async throws {
        let folder = rig.path("run")
        let directory = RunDirectory(folder)
        let server = try await ControlServer(web1, in: directory, logger: rig.logger) {
            State(words: [], count: 0)
        }
        #expect(try rig.mode(folder) == 0o700)
        #expect(server.path == folder + "/disk-web1.sock")
    }

    @Test func `the second of one name is refused, and the first goes on`() async throws {
        let server = try await rig.server()
        try await rig.serving(server) {
            let error = try await #require(throws: HostError.self) {
                _ = try await rig.server()
            }
            #expect(error.kind == .control)
            #expect(error.errno == .addressInUse)
            #expect(error.description.contains("disk web1 is run already by process \(getpid())"))
            _ = try await rig.client.snapshot(State.self, of: web1)
        }
    }

    @Test func `of many that start at once with one name, one is let in`() async throws {
        let servers = await withTaskGroup(of: ControlServer?.self) { group in
            for _ in 0..<8 { group.addTask { try? await rig.server() } }
            return await group.reduce(into: [ControlServer]()) { all, one in
                if let one { all.append(one) }
            }
        }
        #expect(servers.count == 1)
        // A server takes its socket away when it ends.
        withExtendedLifetime(servers) {
            #expect(rig.files == ["disk-web1.sock", "disk-web1.sock.lock"])
        }
    }

    @Test func `the socket of a process that is gone is replaced`() async throws {
        close(try rig.socket("disk-web1.sock"))
        // The lock file beside it says that it was ours; one that says nothing more stays.
        try "".write(toFile: rig.path("disk-web1.sock.lock"), atomically: false, encoding: .utf8)
        #expect(rig.files == ["disk-web1.sock", "disk-web1.sock.lock"])
        let server = try await rig.server()
        try await rig.serving(server) {
            _ = try await rig.client.snapshot(State.self, of: web1)
        }
        #expect(rig.files == ["disk-web1.sock.lock"])
    }

    @Test func `a file that is no socket is left alone`() async throws {
        try "mine".write(toFile: rig.path("disk-web1.sock"), atomically: false, encoding: .utf8)
        let error = try await #require(throws: HostError.self) { _ = try await rig.server() }
        #expect(error.description.contains("a file is there"))
        #expect(rig.files == ["disk-web1.sock"])
    }

    @Test func `a server that never ran leaves no socket`() async throws {
        do { _ = try await rig.server() }
        #expect(rig.files == [])
    }

    @Test func `other servers of the folder are untouched by one's end`() async throws {
        let first = try await rig.server("web1")
        let second = try await rig.server("web2")
        try await rig.serving(second) {
            try await rig.serving(first) {}
            _ = try await rig.client.snapshot(State.self, of: second.name)
        }
        #expect(rig.files == [])
    }

    @Test func `an unknown route is refused with what there is`() async throws {
        let server = try await rig.server("web1", [.stop {}])
        try await rig.serving(server) {
            let error = try await #require(throws: HostError.self) {
                _ = try await rig.client.perform("resize", at: web1)
            }
            #expect(error.kind == .refused)
            #expect(error.description.contains("there is no POST /v1/disk/resize here"))
            #expect(error.description.contains("only: GET /v1/disk, POST /v1/disk/stop"))
            let answer = try await rawAnswer(server.path, "GET /x HTTP/1.1\r\nHost: a\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 404"))
            #expect(answer.lowercased().contains("content-type: application/json"))
            #expect(answer.contains("{\"error\":\"there is no GET /x here"))
        }
    }

    @Test func `a command gets its argument and gives its answer`() async throws {
        let command = ControlCommand("twice", taking: State.self) { state in
            State(words: state.words + state.words, count: state.count * 2)
        }
        let server = try await rig.server("web1", [command])
        try await rig.serving(server) {
            let answer = try await rig.client.perform(
                "twice", at: web1, State(words: ["x"], count: 21), answer: State.self)
            #expect(answer == State(words: ["x", "x"], count: 42))
            let error = try await #require(throws: HostError.self) {
                _ = try await rig.client.perform("twice", at: web1, answer: State.self)
            }
            #expect(error.description.contains("'words' is missing"))
        }
    }

    @Test func `what a snapshot or command throws is told in its own words`() async throws {
        struct Refusal: Error, CustomStringConvertible {
            let description: String
        }
        let command = ControlCommand("no", taking: ControlNothing.self) {
            _ -> ControlNothing in throw Refusal(description: "it is Sunday: come back")
        }
        let server = try await rig.server("web1", [command]) {
            throw Refusal(description: "the ledger is closed")
        }
        try await rig.serving(server) {
            let refused = try await #require(throws: HostError.self) {
                _ = try await rig.client.perform("no", at: web1)
            }
            #expect(refused.kind == .refused)
            #expect(refused.description == "disk web1 refused: it is Sunday: come back")
            let failed = try await #require(throws: HostError.self) {
                _ = try await rig.client.snapshot(State.self, of: web1)
            }
            #expect(failed.description == "disk web1 refused: the ledger is closed")
        }
    }

    @Test func `stop is answered before it is carried out`() async throws {
        let (stops, stop) = AsyncStream.makeStream(of: Void.self)
        let server = try await rig.server("web1", [.stop { stop.yield() }])
        let running = Task { await server.run() }
        let ending = Task {
            for await _ in stops { break }
            running.cancel()
            await running.value
        }
        let answer = try await rig.client.perform("stop", at: web1)
        #expect(answer == ControlNothing())
        await ending.value
        #expect(rig.files == [])
    }

    @Test func `a graceful end lets a request under way finish`() async throws {
        let (began, begin) = AsyncStream.makeStream(of: Void.self)
        let (goes, go) = AsyncStream.makeStream(of: Void.self)
        let server = try await rig.server {
            begin.yield()
            for await _ in goes { break }
            return State(words: ["late"], count: 2)
        }
        let running = Task { await server.run() }
        async let asked = rig.client.snapshot(State.self, of: web1)
        for await _ in began { break }
        await server.end()
        go.yield()
        let state = try await asked
        #expect(state.words == ["late"])
        await running.value
        #expect(rig.files == [])
    }

    @Test func `connections that say nothing do not hold up the end`() async throws {
        let server = try await rig.server()
        let idle = try (0..<ControlRig.manyConnections).map { _ in try rig.connected(server.path) }
        try await rig.serving(server) {}
        for descriptor in idle { close(descriptor) }
        #expect(rig.files == [])
    }

    @Test(arguments: [
        "nonsense\r\n\r\n", "GET /v1/disk HTTP/1.1\r\nX: \(String(repeating: "y", count: 100_000))",
        "POST /v1/disk/stop HTTP/1.1\r\nContent-Length: 99999999\r\n"
            + "\r\n\(String(repeating: "z", count: 100_000))",
    ])
    func `what is no request for us costs only its own connection`(text: String) async throws {
        let server = try await rig.server("web1", [.stop {}])
        try await rig.serving(server) {
            let answer = try await rawAnswer(server.path, text)
            #expect(!answer.hasPrefix("HTTP/1.1 200"))
            _ = try await rig.client.snapshot(State.self, of: web1)
        }
    }

    /// What a server answers to bytes sent as they are, on a connection that is then closed.
    private func rawAnswer(_ path: String, _ text: String) async throws -> String {
        let descriptor = try rig.connected(path)
        return await withCheckedContinuation { done in
            Thread.detachNewThread {
                let bytes = Array((text + "Connection: close\r\n\r\n").utf8)
                _ = unsafe send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                shutdown(descriptor, Int32(SHUT_WR))
                var answer: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = unsafe read(descriptor, &chunk, chunk.count)
                    guard count > 0 else { break }
                    answer += chunk[..<count]
                }
                close(descriptor)
                done.resume(returning: String(decoding: answer, as: UTF8.self))
            }
        }
    }
}

extension ControlRig {
    /// As many as a server's socket lets wait.
    static let manyConnections = 16
}
