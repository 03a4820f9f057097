import RoostMemory
import RoostSystem
import SystemPackage
import TestSupport
import Testing

@testable import RoostHypervisor

@Suite("Hostile clients of the embedded hypervisor")
struct EmbeddedHostileTests {
    let machine: TestHypervisor
    let guest: EmbeddedDomain
    let backend: EmbeddedDomain

    init() throws {
        machine = try TestHypervisor()
        guest = try machine.domain("guest")
        backend = try machine.domain("backend")
    }

    @Test("random bytes cost their sender only", arguments: 0..<32)
    func randomBytes(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<20 {
            let client = try RawClient(machine.location)
            let count = Int.random(in: 0...1000, using: &random)
            // The hypervisor may have closed the connection already.
            try? client.send((0..<count).map { _ in UInt8.random(in: 0 ... .max, using: &random) })
        }
        try checkNeighbours()
    }

    @Test("structured lies are refused, and touch nobody else's things", arguments: 0..<32)
    func lies(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 4)
        let page = try allocator.claim(.readWrite)
        let channel = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: channel.port)
        let client = try RawClient(machine.location)
        let id = try client.hello()
        for _ in 0..<200 {
            var message = ControlMessage(.hello)
            message.operation = UInt32.random(in: 0...9, using: &random)
            message.request = UInt32.random(in: 1 ... .max, using: &random)
            message.hasMore = Bool.random(using: &random)
            message.status = UInt32.random(in: 0 ... .max, using: &random)
            for index in 0..<4 {
                message.words[index] =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: UInt32.random(in: 0...4, using: &random)
                    case 1: [0x7ff0, 0xffff, 65536, 65537, .max].randomElement(using: &random) ?? 0
                    case 2: UInt32.random(in: 0 ... .max, using: &random)
                    default: UInt32(id.rawValue)
                    }
            }
            let answers = try client.ask(message)
            #expect(answers.allSatisfy { $0.message.request == message.request })
            let isLooking =
                message.operation == ControlMessage.Operation.nextSegment.rawValue
                && message.words[0] == UInt32(guest.id.rawValue)
            if isLooking { #expect(answers.last?.message.failure == .noSuchFileOrDirectory) }
        }
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        let mapping = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        try channel.notify()
        try bound.notify()
        try mapper.unmap(mapping)
        try checkNeighbours()
    }

    @Test("who does not begin with a greeting, or speaks another version, is not let in")
    func greetings() throws {
        let silent = try RawClient(machine.location)
        try silent.send(ControlMessage(.allocateUnbound, request: 1, 1).bytes)
        #expect(throws: RawClient.ConnectionEnded.self) { _ = try silent.receive() }
        let old = try RawClient(machine.location)
        let answers = try old.ask(ControlMessage(.hello, request: 1, 0))
        #expect(answers.map(\.message.failure) == [.notSupported])
        let twice = try RawClient(machine.location)
        _ = try twice.hello()
        let second = try twice.ask(
            ControlMessage(.hello, request: 9, ControlMessage.version, 0))
        #expect(second.map(\.message.failure) == [.invalidArgument])
    }

    @Test("a descriptor that comes with a request is closed")
    func unwantedDescriptors() throws {
        let (kept, sent) = try StreamSocket.pair()
        let client = try RawClient(machine.location)
        _ = try client.hello()
        let message = ControlMessage(.closePort, request: 7, 900)
        try client.socket.send(unsafe message.bytes.span.bytes, passing: sent.descriptor)
        #expect(try client.receive().message.failure == .noSuchFileOrDirectory)
        try sent.relinquish()
        #expect(becomesReadable(kept.descriptor), "nobody holds the other end")
    }

    @Test("who never reads its answers is served no more, and nobody waits for it")
    func unreadAnswers() throws {
        let client = try RawClient(machine.location)
        _ = try client.hello()
        try client.socket.makeNonblocking()
        var sent = 0
        var request: UInt32 = 1
        var isBlocked = false
        // Each answer takes descriptors: it is bounded how many are on their way.
        while sent < 100_000, !isBlocked {
            request += 1
            let message = ControlMessage(
                .allocateUnbound, request: request, UInt32(backend.id.rawValue))
            do {
                try client.socket.send(unsafe message.bytes.span.bytes)
                sent += 1
            } catch {
                isBlocked = true
            }
            if sent % 100 == 0 { try checkNeighbours() }
        }
        #expect(isBlocked)
        try checkNeighbours()
        // Once it reads, it is served again.
        #expect(try client.receiveWaiting().message.failure == nil)
    }

    @Test(
        "there is a bounded number of domains, and one that goes makes room",
        .timeLimit(.minutes(2)))
    func domainQuota() async throws {
        var clients: [RawClient] = []
        for _ in 2..<HypervisorLimits.domainCount {
            let client = try RawClient(machine.location)
            _ = try client.hello()
            clients.append(client)
        }
        let hello = ControlMessage(.hello, request: 1, ControlMessage.version, 0)
        let late = try RawClient(machine.location).ask(hello)
        #expect(late.map(\.message.failure) == [.noSpace])
        try checkNeighbours()
        clients.removeLast()
        let isIn = await eventually {
            (try? RawClient(machine.location).ask(hello))?.last?.message.failure == nil
        }
        #expect(isIn)
    }

    @Test("a flood of connections that say nothing lets others in later")
    func strangers() async throws {
        var clients: [RawClient] = []
        for _ in 0..<200 {
            if let client = try? RawClient(machine.location) { clients.append(client) }
        }
        try checkNeighbours()
        clients.removeAll()
        let isIn = await eventually { (try? machine.domain("later")) != nil }
        #expect(isIn)
    }

    @Test("store connections that send nonsense are closed, and nobody else's", arguments: 0..<16)
    func storeNonsense(seed: UInt64) async throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<10 {
            let socket = try StreamSocket.connect(to: .unix(path: machine.location.storePath))
            let bytes = (0..<Int.random(in: 1...9000, using: &random)).map { _ in
                UInt8.random(in: 0 ... .max, using: &random)
            }
            try? socket.send(unsafe bytes.span.bytes)
        }
        #expect(try await guest.store.readString(StorePath("domid")) == "\(guest.id)")
        try checkNeighbours()
    }

    /// Grants, maps and notifies between the two domains that behave.
    private func checkNeighbours() throws {
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: 0, with: 0x33)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        _ = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        #expect(window.isFilled(page: 0, with: 0x33))
        let made = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: made.port)
        try made.notify()
        #expect(becomesReadable(bound.descriptor))
    }
}

/// A connection to a hypervisor whose messages are made by hand.
final class RawClient {
    struct Answer {
        var message: ControlMessage
        var hasDescriptor: Bool
    }

    /// The hypervisor closed the connection.
    struct ConnectionEnded: Error {}

    let socket: StreamSocket

    init(_ location: HypervisorLocation) throws {
        socket = try StreamSocket.connect(to: .unix(path: location.socketPath))
    }

    func send(_ bytes: [UInt8]) throws {
        try socket.send(unsafe bytes.span.bytes)
    }

    /// Becomes a domain.
    func hello() throws -> DomainID {
        let answers = try ask(
            ControlMessage(.hello, request: 1, ControlMessage.version, 0, text: "raw"))
        #expect(answers.count == 2 && answers.allSatisfy(\.hasDescriptor))
        return DomainID(rawValue: UInt16(answers.last?.message.words[0] ?? 0))
    }

    /// Sends a request and receives its answer.
    func ask(_ message: ControlMessage) throws -> [Answer] {
        try send(message.bytes)
        var answers: [Answer] = []
        repeat { answers.append(try receive()) } while answers.last?.message.hasMore == true
        return answers
    }

    /// Receives one message.
    func receive() throws -> Answer {
        var bytes: [UInt8] = []
        var hasDescriptor = false
        while bytes.count < ControlMessage.byteCount {
            var chunk = [UInt8](repeating: 0, count: ControlMessage.byteCount - bytes.count)
            var span = chunk.mutableSpan
            var room = unsafe span.mutableBytes
            let received = try socket.receive(into: &room)
            let count = received.byteCount
            guard count > 0 else { throw ConnectionEnded() }
            if received.passed != nil { hasDescriptor = true }
            bytes += chunk[..<count]
        }
        return Answer(message: ControlMessage(bytes), hasDescriptor: hasDescriptor)
    }

    /// Receives one message over a socket that does not wait by itself.
    func receiveWaiting() throws -> Answer {
        #expect(becomesReadable(socket.descriptor))
        return try receive()
    }
}
