import Foundation
import Glibc
import RoostHost
import Testing

@testable import RoostHost

@Suite(.timeLimit(.minutes(1))) struct ControlClientTests {
    typealias State = ControlRig.State

    let rig: ControlRig
    let web1: ControlName

    init() throws {
        signal(SIGPIPE, SIG_IGN)
        rig = try ControlRig()
        web1 = try ControlName(.disk, "web1")
    }

    private func failure(_ client: ControlClient? = nil) async throws -> HostError {
        let client = client ?? rig.client
        return try await #require(throws: HostError.self) {
            _ = try await client.snapshot(State.self, of: web1)
        }
    }

    @Test func `nobody of the name is told as such`() async throws {
        let error = try await failure()
        #expect(error.kind == .absent)
        #expect(error.description.contains("there is no disk web1"))
    }

    @Test func `a socket whose process is gone is dead`() async throws {
        close(try rig.socket("disk-web1.sock"))
        let error = try await failure()
        #expect(error.kind == .dead)
        #expect(error.description.contains("disk web1 is dead"))
    }

    @Test func `who accepts and never answers runs into the time limit`() async throws {
        let descriptor = try rig.socket("disk-web1.sock")
        defer { close(descriptor) }
        let error = try await failure(
            ControlClient(rig.directory, timeLimit: .milliseconds(200)))
        #expect(error.kind == .timeout)
        #expect(error.description.contains("did not answer"))
    }

    @Test func `who does not even accept runs into the time limit`() async throws {
        let descriptor = try rig.socket("disk-web1.sock", backlog: 0)
        defer { close(descriptor) }
        let client = ControlClient(rig.directory, timeLimit: .milliseconds(200))
        for _ in 0..<3 {
            let error = try await failure(client)
            #expect(error.kind == .timeout)
        }
    }

    @Test func `cancelling ends a question`() async throws {
        let descriptor = try rig.socket("disk-web1.sock")
        defer { close(descriptor) }
        let client = rig.client
        let name = web1
        let asking = Task { () -> HostError? in
            do throws(HostError) {
                _ = try await client.snapshot(State.self, of: name)
                return nil
            } catch {
                return error
            }
        }
        asking.cancel()
        let error = await asking.value
        #expect(error?.kind == .cancelled)
    }

    @Test func `an answer that is too long is refused`() async throws {
        let length = ControlClient.answerLimit + 1
        let answering = try rig.answering(
            "disk-web1.sock",
            "HTTP/1.1 200 OK\r\nContent-Length: \(length)\r\n\r\n"
                + String(repeating: " ", count: length))
        let error = try await failure()
        #expect(error.kind == .control)
        #expect(error.description.contains("more than \(ControlClient.answerLimit) bytes"))
        await answering.value
    }

    @Test(arguments: [
        ("", "cut short"), ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", ""),
        ("SSH-2.0-OpenSSH_9.2\r\n", ""), ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "type"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{\"a", "no JSON"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is missing"),
    ])
    func `an answer that is none is told in one sentence`(
        text: String, reason: String
    ) async throws {
        let answering = try rig.answering("disk-web1.sock", text)
        let error = try await failure()
        #expect(error.kind == .control)
        #expect(reason.isEmpty || error.description.contains(reason), "\(error)")
        await answering.value
    }

    @Test func `an answer with endless headers is refused`() async throws {
        let answering = try rig.answering(
            "disk-web1.sock", "HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 100_000))
        let error = try await failure()
        #expect(error.kind == .control)
        await answering.value
    }

    @Test func `a refusal is passed on, also one in no words of ours`() async throws {
        let answering = try rig.answering(
            "disk-web1.sock", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno")
        let error = try await failure()
        #expect(error.kind == .refused)
        #expect(error.description == "disk web1 refused: HTTP status 503")
        await answering.value
    }

    @Test func `a survey finds the living and the dead, by name`() async throws {
        close(try rig.socket("disk-old.sock"))
        close(try rig.socket("frontend-web1.sock"))
        try "".write(toFile: rig.path("disk-.sock"), atomically: false, encoding: .utf8)
        try "".write(toFile: rig.path("hypervisor"), atomically: false, encoding: .utf8)
        let server = try await rig.server()
        try await rig.serving(server) {
            let answers = await rig.client.survey(State.self, of: .disk)
            #expect(answers.map(\.name.name) == ["old", "web1"])
            #expect(throws: HostError.self) { _ = try answers[0].answer.get() }
            #expect(throws: Never.self) { _ = try answers[1].answer.get() }
            #expect(
                rig.directory.names().map(\.description) == [
                    "disk old", "disk web1", "frontend web1",
                ])
        }
    }

    @Test(arguments: [
        ("a", true), ("web1", true), ("Web-1_b.c", true), (String(repeating: "x", count: 64), true),
        (String(repeating: "x", count: 65), false), ("", false), ("-a", false), (".a", false),
        ("a/b", false), ("a b", false), ("ä", false), ("a\n", false), ("..", false),
    ])
    func `names are letters, digits and a few more`(name: String, isRight: Bool) {
        if isRight {
            #expect(throws: Never.self) { _ = try ControlName(.disk, name) }
            #expect(ControlName(fileName: "disk-\(name).sock")?.name == name)
        } else {
            let error = #expect(throws: HostError.self) { _ = try ControlName(.disk, name) }
            #expect(error?.description.contains("cannot name a disk") == true)
            #expect(ControlName(fileName: "disk-\(name).sock") == nil)
        }
    }

    @Test(arguments: [("/a/b/s", "/a/b"), ("s", ".")])
    func `the run directory is the folder of ROOST_SOCKET`(socket: String, path: String) throws {
        let directory = try RunDirectory.standard(environment: ["ROOST_SOCKET": socket])
        #expect(directory.path == path)
    }
}
