import RoostHypervisor
import RoostMemory
import TestSupport
import Testing

/// What holds of any sequence of requests.
struct ServerPropertyTests {
    @Test(
        "Three clients with transactions see what the simplest store would show them",
        arguments: 0..<64 as Range<UInt64>)
    func againstOracle(seed: UInt64) {
        var run = OracleRun(seed: seed)
        for _ in 0..<400 {
            run.step()
            guard run.failure == nil else { break }
        }
        #expect(run.failure == nil)
        run.finish()
        #expect(run.failure == nil)
        // Otherwise the run has shown nothing.
        #expect(run.commitCount > 0)
        #expect(run.conflictCount > 0)
    }

    @Test("Any bytes are answered or end the connection", arguments: 0..<64 as Range<UInt64>)
    func anyBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let bytes = (0..<4096).map { _ in UInt8.random(in: 0...255, using: &random) }
        let answered = StoreServer.feed(unsafe bytes.span.bytes)
        #expect(answered >= 0)
    }

    @Test("Messages of any type and payload are answered", arguments: 0..<64 as Range<UInt64>)
    func anyMessages(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let paths = ["a", "a/b", "/", "/local/domain/1", "/local/domain/1/a", "@releaseDomain", ""]
        let rests = ["", "t\0", "n1\0", "n1\0r2\0", "T\0", "F\0", "0\0", "4096\0", "value", "\0"]
        var stretches: [UInt8] = []
        for _ in 0..<300 {
            let payload =
                (paths.randomElement(using: &random) ?? "") + "\0"
                + (rests.randomElement(using: &random) ?? "")
            let bytes = StoreMessage(
                typeNumber: UInt32.random(in: 0...28, using: &random), requestID: 1,
                transactionID: Int.random(in: 0..<3, using: &random) == 0
                    ? UInt32.random(in: 0...4, using: &random) : 0,
                payload: Bool.random(using: &random)
                    ? Array(payload.utf8) : Array(payload.utf8.dropLast())
            ).encoded
            stretches.append(UInt8(bytes.count))
            stretches += bytes
        }
        let answered = StoreServer.feed(unsafe stretches.span.bytes)
        // Each is answered: an answer has at least a header.
        #expect(answered >= 300 * 16)
    }
}

/// A store and the oracle, doing the same.
private struct OracleRun {
    private var store = ServerHarness()
    private var oracle = StoreOracle([
        "/": "", "/local": "", "/local/domain": "", "/tool": "", "/tool/xenstored": "",
    ])
    private let clients: [StoreConnectionID]
    /// Each client's open transaction: 0 is none.
    private var open: [UInt32] = [0, 0, 0]
    private var random: SeededRandom
    private(set) var failure: String?
    private(set) var commitCount = 0
    private(set) var conflictCount = 0

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        clients = [store.connectPrivileged(), store.connectPrivileged(), store.connectPrivileged()]
    }

    /// One client does one thing.
    mutating func step() {
        let client = Int.random(in: 0..<3, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0 where open[client] == 0:
            open[client] = store.begin(clients[client])
            oracle.begin(client + 1)
        case 1 where open[client] != 0: end(client)
        default: perform(client)
        }
    }

    private mutating func end(_ client: Int) {
        let commits = Int.random(in: 0..<5, using: &random) != 0
        let answer = store.end(clients[client], open[client], commits: commits)
        open[client] = 0
        guard commits else {
            oracle.abandon(client + 1)
            return
        }
        let hasHappened = answer == .accepted
        if hasHappened { commitCount += 1 } else { conflictCount += 1 }
        guard hasHappened || answer == .refused("EAGAIN") else {
            failure = "a transaction ended with \(answer)"
            return
        }
        failure = oracle.end(client + 1, hasHappened: hasHappened)
    }

    private mutating func perform(_ client: Int) {
        let path = randomPath()
        let step: StoreOracle.Step =
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1: .read(path)
            case 2: .list(path)
            case 3: .remove(path)
            default: .write(path, "\(Int.random(in: 0..<100, using: &random))")
            }
        let expected = oracle.perform(step, in: open[client] == 0 ? 0 : client + 1)
        let answer = ask(step, clients[client], open[client])
        if answer != expected { failure = "\(step): '\(answer)' and not '\(expected)'" }
    }

    private mutating func ask(
        _ step: StoreOracle.Step, _ client: StoreConnectionID, _ transaction: UInt32
    ) -> String {
        let answer =
            switch step {
            case .read(let path): store.read(client, path, in: transaction)
            case .list(let path): store.list(client, path, in: transaction)
            case .write(let path, let value): store.write(client, path, value, in: transaction)
            case .remove(let path): store.remove(client, path, in: transaction)
            }
        switch answer {
        case .none: return "nothing"
        case .refused(let name): return name
        case .payload(let bytes):
            guard case .list = step else {
                return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            return bytes.terminatedParts.map { String(decoding: $0, as: UTF8.self) }
                .joined(separator: " ")
        }
    }

    private mutating func randomPath() -> String {
        var path = "/tool"
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            path += ["/a", "/b", "/c"].randomElement(using: &random) ?? ""
        }
        return path
    }

    /// Ends what is open, and compares all that there is.
    mutating func finish() {
        for client in 0..<3 where open[client] != 0 {
            end(client)
        }
        for (path, value) in oracle.values where failure == nil {
            let found = ask(.read(path), clients[0], 0)
            if found != value { failure = "\(path) is '\(found)' and not '\(value)'" }
        }
        let count = store.server.nodeCount(of: .privileged)
        if count != oracle.values.count, failure == nil {
            failure = "\(count) nodes and not \(oracle.values.count)"
        }
    }
}
