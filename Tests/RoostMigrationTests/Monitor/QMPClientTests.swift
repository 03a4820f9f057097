import RoostMigration
import RoostSystem
import SystemPackage
import Testing

/// Runs a script against a client that is connected.
private func withClient(
    _ script: @escaping @Sendable (ScriptedMonitor) throws -> Void,
    _ body: (QMPClient) async throws -> Void
) async throws {
    try await ScriptedMonitor.run { monitor in
        try monitor.greet()
        try script(monitor)
    } against: { socket in
        let client = try await QMPClient(over: socket, name: "QEMU", timeout: .seconds(30))
        try await body(client)
        await client.close()
    }
}

/// What a call came to.
private func outcome(
    _ client: QMPClient, _ command: String
) async -> Result<JSONValue, MigrationError> {
    do throws(MigrationError) {
        return .success(try await client.execute(command))
    } catch {
        return .failure(error)
    }
}

@Suite(.timeLimit(.minutes(1))) struct QMPClientTests {
    @Test("The greeting tells QEMU's version")
    func greeting() async throws {
        try await withClient { _ in
        } _: { client in
            #expect(client.version == "7.2.22")
        }
    }

    @Test("Replies in another order than their commands reach their callers, with events between")
    func outOfOrder() async throws {
        try await withClient { monitor in
            var ids: [String: UInt64] = [:]
            for _ in 0..<2 {
                let heard = try monitor.hear()
                ids[heard.command] = heard.id
            }
            try monitor.say(#"{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}"#)
            try monitor.say(#"{"return": "second", "id": \#(ids["b"] ?? 0)}"#)
            try monitor.say(#"{"event": "MIGRATION", "data": {"status": "setup"}}"#)
            try monitor.say(#"{"return": "first", "id": \#(ids["a"] ?? 0)}"#)
        } _: { client in
            let events = client.events()
            async let first = outcome(client, "a")
            async let second = outcome(client, "b")
            #expect(await first == .success("first"))
            #expect(await second == .success("second"))
            await client.close()
            var names: [String] = []
            for await event in events { names.append(event.name) }
            #expect(names == ["STOP", "MIGRATION"])
        }
    }

    @Test("A refusal names the command, the reason and its class")
    func refusal() async throws {
        try await withClient { monitor in
            let id = try monitor.hear().id
            try monitor.say(
                #"{"error": {"class": "DeviceNotFound", "desc": "no such disk"}, "id": \#(id)}"#)
        } _: { client in
            let error = await #expect(throws: MigrationError.self) {
                try await client.execute("eject")
            }
            #expect(error?.kind == .peer)
            #expect(error?.description == "QEMU refused 'eject': no such disk (DeviceNotFound)")
        }
    }

    @Test(
        "What is no message ends the connection and fails every call",
        arguments: [
            "junk", "{", "[]", "{}", "1", "\"\"", #"{"return": {}}"#, #"{"return": {}, "id": "1"}"#,
            #"{"return": {}, "id": -1}"#, #"{"error": {}, "id": 2}"#, #"{"return": {}, "id": 999}"#,
            #"{"id": 2}"#, #"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#,
            "\u{0}\u{1}\u{fffd}", String(repeating: "[", count: 100_000),
        ])
    func junk(line: String) async throws {
        try await withClient { monitor in
            _ = try monitor.hear()
            _ = try monitor.hear()
            try monitor.say(line)
            _ = try monitor.hear()
        } _: { client in
            async let first = outcome(client, "a")
            async let second = outcome(client, "b")
            let error = await first.error
            let other = await second.error
            #expect(other == error)
            #expect(error?.kind == .peer)
            #expect(client.failure == error)
            await #expect(throws: MigrationError.self) { try await client.execute("c") }
        }
    }

    @Test("A monitor that dies in the middle of a reply fails all calls with one sentence")
    func death() async throws {
        try await withClient { monitor in
            _ = try monitor.hear()
            _ = try monitor.hear()
            try monitor.sayBytes(Array(#"{"return": {"status": "run"#.utf8))
        } _: { client in
            let events = client.events()
            async let first = outcome(client, "a")
            async let second = outcome(client, "b")
            let error = await first.error
            let other = await second.error
            #expect(error?.description.hasPrefix("QEMU closed its monitor's connection") == true)
            #expect(other == error)
            for await _ in events {}  // The events end too.
        }
    }

    @Test("A line that does not end is refused at the limit")
    func hugeLine() async throws {
        try await withClient { monitor in
            _ = try monitor.hear()
            let piece = [UInt8](repeating: UInt8(ascii: " "), count: 1 << 20)
            for _ in 0..<18 { try monitor.sayBytes(piece) }
        } _: { client in
            let error = await #expect(throws: MigrationError.self) { try await client.execute("a") }
            #expect(error?.description.contains("a line of over 16777216 bytes") == true)
        }
    }

    @Test("A call without answer ends in time, and its late reply harms nobody")
    func lateReply() async throws {
        try await withClient { monitor in
            let late = try monitor.hear().id
            let next = try monitor.hear().id
            try monitor.say(#"{"return": "late", "id": \#(late)}"#)
            try monitor.say(#"{"return": "next", "id": \#(next)}"#)
        } _: { client in
            let error = await #expect(throws: MigrationError.self) {
                try await client.execute("slow", timeout: .milliseconds(10))
            }
            #expect(error?.kind == .timeout)
            let quick = try await client.execute("quick")
            #expect(quick == "next")
        }
    }

    @Test("A monitor that does not greet is told from one that is dead")
    func noGreeting() async throws {
        try await ScriptedMonitor.run { monitor in
            _ = try monitor.hear()
        } against: { socket in
            let error = await #expect(throws: MigrationError.self) {
                try await QMPClient(over: socket, name: "QEMU", timeout: .milliseconds(10))
            }
            #expect(error?.kind == .timeout)
            #expect(error?.description.contains("another client may hold this monitor") == true)
        }
        try await ScriptedMonitor.run { _ in
        } against: { socket in
            let error = await #expect(throws: MigrationError.self) {
                try await QMPClient(over: socket, name: "QEMU", timeout: .seconds(30))
            }
            #expect(error?.kind == .peer)
        }
    }

    @Test("Cancelling the task ends the wait for a greeting")
    func cancelledGreeting() async throws {
        try await ScriptedMonitor.run { monitor in
            _ = try monitor.hear()
        } against: { socket in
            let task = Task { try await QMPClient(over: socket, name: "QEMU") }
            task.cancel()
            let result = await task.result
            let error = #expect(throws: MigrationError.self) { try result.get() }
            #expect(error?.kind == .cancelled)
        }
    }

    @Test("A descriptor goes with its command")
    func passesDescriptor() async throws {
        try await withClient { monitor in
            let heard = try monitor.hear()
            try heard.passed?.send(unsafe [42 as UInt8].span.bytes)
            try monitor.say(#"{"return": {}, "id": \#(heard.id)}"#)
        } _: { client in
            let (inside, outside) = try StreamSocket.pair()
            try await client.execute("getfd", ["fdname": "x"], passing: inside.descriptor)
            try inside.relinquish()
            var bytes: [UInt8] = [0, 0]
            var elements = bytes.mutableSpan
            var span = unsafe elements.mutableBytes
            let received = try outside.receive(into: &span)
            #expect(received.byteCount == 1)
            #expect(bytes == [42, 0])
        }
    }

    @Test("Nobody listening is one clear sentence")
    func nobodyListens() async {
        let error = await #expect(throws: MigrationError.self) {
            try await QMPClient.connect(to: .unix(path: "/nonexistent/monitor"))
        }
        #expect(error?.kind == .transfer)
        #expect(error?.errno == .noSuchFileOrDirectory)
    }
}
