import Glibc
import RoostMemory
import RoostSystem
import StreamSupport
import Synchronization
import SystemPackage
import Testing

@testable import RoostMigration

/// A move through a relay and a receiver, between a source and a destination that follow a script.
///
///     source ── stream ──▶ relay ══▶ proxy ══▶ receiver ── stream ──▶ destination or file
///
/// Everything runs in this process over pairs of sockets, each part on threads of its own.
struct RelayRig: Sendable {
    /// What the source has.
    var stream: [UInt8]
    /// How many bytes of it the source sends before it closes; all, unless set.
    var sourceCloses: Int?
    /// After how many bytes the source pauses to call ``atSourcePlace``.
    var sourcePlace: Int?
    var atSourcePlace: @Sendable (MigrationRelay, MigrationReceiver) -> Void = { _, _ in }
    /// The lengths of the pieces the source sends, over and over.
    var pieces = [65_536]
    /// Whether the source waits for SHUT before it closes, as one does with its return path on.
    var waitsForShut = false
    /// What happens when the destination has been given the mark, before it says SHUT.
    var atMark: @Sendable (RelayProxy, MigrationRelay, MigrationReceiver) -> Void = { _, _, _ in }
    /// What happens when SHUT has reached the source, before it closes.
    var afterShut: @Sendable (MigrationRelay, MigrationReceiver) -> Void = { _, _ in }
    var atShut: @Sendable (RelayProxy) -> Void = { _ in }

    /// After how many bytes the destination closes.
    var destinationCloses: Int?
    /// After how many bytes the destination stops reading, until the move is over.
    var destinationStops: Int?
    /// After how many bytes the destination pauses to call ``atDestinationPlace``.
    var destinationPlace: Int?
    var atDestinationPlace: @Sendable (MigrationRelay, MigrationReceiver) -> Void = { _, _ in }
    /// What the destination's SHUT says.
    var verdict: UInt32 = 0
    /// Where the stream is stored instead of being given to a destination.
    var file: String?

    /// What happens to the wire.
    enum WireFault: Sendable {
        /// It breaks when so many bytes went towards the receiver, or came back.
        case cut(forward: Int = .max, back: Int = .max)
        /// It breaks so many bytes before the frame END, from the relay's side.
        case cutBeforeEnd(Int)
        /// A bit of the first whole page is turned over, and its frame is sound all the same.
        case alterPage
        /// A bit of the byte at a place of either direction is turned over.
        case flip(forward: Int = -1, back: Int = -1)
    }
    var wireFault: WireFault?
    /// Whether nothing lies between the two relays.
    var isDirect = false

    var relayOptions = RelayOptions.quick
    var receiverOptions = RelayOptions.quick

    init(_ stream: [UInt8]) {
        self.stream = stream
    }

    /// What a move came to.
    struct Outcome: Sendable, CustomTestStringConvertible {
        var relay: Result<RelayStatistics, MigrationError>
        var receiver: Result<RelayStatistics, MigrationError>
        /// What the destination read.
        var delivered: [UInt8]
        /// What the source read.
        var answered: [UInt8]
        /// What went over the wire, from the relay and to it.
        var forward: Int
        var back: Int
        /// The inodes of every socket, and whether relay and receiver are gone.
        var inodes: Set<UInt64>
        var isReleased: Bool

        var testDescription: String {
            "relay \(relay), receiver \(receiver), \(delivered.count) bytes delivered"
        }

        /// Whether nothing of the move is left: no object, descriptor or thread.
        ///
        /// Asked without keeping a thread from the tests beside it, whose moves end meanwhile.
        var leavesNothing: Bool {
            get async {
                let sockets = Set(inodes.map { "socket:[\($0)]" })
                guard isReleased else { return false }
                guard await ProcessState.settles({ ProcessState.moveThreads().isEmpty }) else {
                    return false
                }
                return await ProcessState.settles {
                    sockets.isDisjoint(with: ProcessState.openFiles())
                }
            }
        }
    }

    func run() async throws -> Outcome {
        BrokenPipes.ignore()
        let (source, relaySource) = try StreamSocket.pair()
        let (relayWire, nearProxy) = try StreamSocket.pair()
        let (farProxy, proxied) = try StreamSocket.pair()
        let receiverWire = isDirect ? nearProxy : proxied
        let (receiverOutput, destination) = try StreamSocket.pair()
        let inodes = Set(
            try [
                source, relaySource, relayWire, nearProxy, farProxy, proxied, receiverOutput,
                destination,
            ].map { try ProcessState.inode(of: $0) })
        weak var weakRelay: MigrationRelay?
        weak var weakReceiver: MigrationReceiver?
        var outcome: Outcome
        do {
            let relay = MigrationRelay(
                source: relaySource, wire: WireSocket(relayWire), options: relayOptions)
            let receiver = MigrationReceiver(
                wire: WireSocket(receiverWire),
                output: file.map { .file($0) } ?? .socket(receiverOutput),
                options: receiverOptions)
            (weakRelay, weakReceiver) = (relay, receiver)
            let proxy = RelayProxy(near: nearProxy, far: farProxy, fault: wireFault)
            let over = StopLatch()
            let (isStored, isDirect) = (file != nil, isDirect)
            async let forwards: Int = RelayRig.thread { isDirect ? 0 : proxy.carryForward() }
            async let backs: Int = RelayRig.thread { isDirect ? 0 : proxy.carryBack() }
            async let sent: [UInt8] = RelayRig.thread {
                self.send(to: source, relay, receiver, proxy)
            }
            async let received: [UInt8] = RelayRig.thread {
                isStored ? [] : self.receive(from: destination, relay, receiver, proxy, over)
            }
            async let relayed = RelayRig.outcome(relay.run)
            async let taken = RelayRig.outcome(receiver.run)
            let results = await (relayed, taken)
            over.open()
            proxy.cut()
            outcome = Outcome(
                relay: results.0, receiver: results.1, delivered: try await received,
                answered: try await sent, forward: try await forwards, back: try await backs,
                inodes: inodes, isReleased: false)
        }
        outcome.isReleased = await ProcessState.settles { weakRelay == nil && weakReceiver == nil }
        return outcome
    }

    private static func outcome(
        _ body: () async throws(MigrationError) -> RelayStatistics
    ) async -> Result<RelayStatistics, MigrationError> {
        do throws(MigrationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    private static func thread<Value: Sendable>(
        _ body: @escaping @Sendable () -> Value
    ) async throws -> Value {
        try await DedicatedThread.run(name: "rig") { body() }
    }

    // MARK: The source

    /// Sends the stream, and returns what was answered.
    private func send(
        to socket: StreamSocket, _ relay: MigrationRelay, _ receiver: MigrationReceiver,
        _ proxy: RelayProxy
    ) -> [UInt8] {
        let end = min(sourceCloses ?? .max, stream.count)
        var position = 0
        var piece = 0
        let bytes = unsafe stream.span.bytes
        while position < end {
            if position == sourcePlace { atSourcePlace(relay, receiver) }
            var next = min(position + pieces[piece % pieces.count], end)
            if let place = sourcePlace, position < place { next = min(next, place) }
            piece += 1
            guard (try? socket.send(bytes.extracting(position..<next))) != nil else { break }
            position = next
        }
        if position == sourcePlace, position == end { atSourcePlace(relay, receiver) }
        var answers: [UInt8] = []
        if waitsForShut, sourceCloses == nil {
            var returnPath = ReturnPath()
            while returnPath.verdict == nil, let more = RelayRig.read(socket) {
                answers += more
                guard returnPath.follow(unsafe more.span.bytes) else { break }
            }
            atShut(proxy)
            afterShut(relay, receiver)
        }
        RelayRig.close(socket)
        return answers
    }

    /// Closes a socket as a process that ends does: what it has not read resets the connection.
    static func close(_ socket: StreamSocket) {
        do { try socket.relinquish() } catch { Issue.record(error) }
    }

    /// What a socket has, or `nil` at its end.
    static func read(_ socket: StreamSocket, limit: Int = 65_536) -> [UInt8]? {
        var input = ByteQueue(capacity: limit)
        guard let count = try? input.fill(from: socket.descriptor), count > 0 else { return nil }
        return [UInt8](copying: input.bytes)
    }

    // MARK: The destination

    /// Takes the stream as a QEMU does: answers, starts at the mark, says SHUT, closes.
    private func receive(
        from socket: StreamSocket, _ relay: MigrationRelay, _ receiver: MigrationReceiver,
        _ proxy: RelayProxy, _ over: StopLatch
    ) -> [UInt8] {
        var taken: [UInt8] = []
        var reader = StreamReader()
        var answers = Answers()
        let end = destinationCloses ?? .max
        var isAsked = false
        while taken.count < end {
            if taken.count == destinationPlace { atDestinationPlace(relay, receiver) }
            if let stop = destinationStops, taken.count >= stop {
                over.wait()
                break
            }
            var limit = min(65_536, end - taken.count)
            for place in [destinationPlace, destinationStops] {
                if let place, taken.count < place { limit = min(limit, place - taken.count) }
            }
            guard let more = RelayRig.read(socket, limit: limit) else { break }
            taken += more
            guard (try? reader.consume(unsafe more.span.bytes, into: &answers)) != nil else {
                break
            }
            // What is asked behind the devices the reader does not know for a command.
            if reader.isPastMemory, let question = RelayRig.question(in: taken), !isAsked {
                isAsked = true
                answers.append(ReturnPath.Message.pong, question)
            }
            let isWhole = isAsked && reader.isWhole()
            if isWhole { atMark(proxy, relay, receiver) }
            if isWhole { answers.append(ReturnPath.Message.shut, verdict) }
            guard
                answers.bytes.isEmpty
                    || (try? socket.send(unsafe answers.bytes.span.bytes)) != nil
            else { break }
            answers.bytes = []
            if isWhole { break }
        }
        RelayRig.close(socket)
        return taken
    }

    /// What a receiver asks in front of the mark, with nothing behind it.
    private static func question(in bytes: [UInt8]) -> UInt32? {
        let last = Array(bytes.suffix(9))
        guard last.count == 9, last.starts(with: [8, 0, 2, 0, 4]) else { return nil }
        return unsafe last.span.bytes.loadBigEndian(at: 5, as: UInt32.self)
    }

    private struct Answers: StreamHandler {
        var bytes: [UInt8] = []

        mutating func append(_ type: UInt16, _ value: UInt32) {
            bytes += [UInt8](copying: ReturnPath.message(type, value).bytes)
        }

        mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
            if command == .ping {
                append(ReturnPath.Message.pong, payload.loadBigEndian(at: 0, as: UInt32.self))
            }
        }

        // Nothing else is answered.
        mutating func streamBegan(version: UInt32) {}
        mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}
        mutating func sectionBegan(_ section: SectionHeader) {}
        mutating func blocksListed(_ blocks: [RAMBlockDescription]) {}
        mutating func blocksAdded(
            _ blocks: [RAMBlockDescription], from first: Int
        ) throws(MigrationError) {
            if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
        }
        mutating func page(_ record: PageRecord, _ body: RawSpan) {}
        mutating func multifdFlushed() {}
        mutating func recordsEnded() {}
        mutating func opaque(_ bytes: RawSpan) {}
        mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}
        mutating func tail(_ bytes: RawSpan) {}
    }
}

extension RelayRig.Outcome {
    /// What the destination read, without what the receiver asked it in front of the mark.
    var stream: [UInt8] {
        guard
            let mark = delivered.indices.last(where: { place in
                place >= 9 && delivered[place] == 0
                    && delivered[place - 9..<place - 4].elementsEqual([8, 0, 2, 0, 4])
            })
        else { return delivered }
        var start = mark - 9
        let opens: [UInt8] = [8, 0, 1, 0, 0]
        if start >= 5, delivered[start - 5..<start].elementsEqual(opens) { start -= 5 }
        return Array(delivered[..<start] + delivered[mark...])
    }
}

extension RelayOptions {
    /// Limits for tests, in which nobody has to be waited for for long.
    static var quick: RelayOptions {
        var options = RelayOptions(maximumRAMByteCount: 1 << 30)
        options.grace = .milliseconds(500)
        return options
    }
}
