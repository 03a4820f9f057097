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
        /// A bit of the byte at a place of either direction is turned over.
        case flip(forward: Int = -1, back: Int = -1)
    }
    var wireFault: WireFault?
    /// Whether nothing lies between the two relays.
    var isDirect = false

    var grace = Duration.seconds(5)
    var relayOptions = RelayOptions(maximumRAMByteCount: 1 << 30)
    var receiverOptions = RelayOptions(maximumRAMByteCount: 1 << 30)

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
                source: relaySource, wire: relayWire, options: relayOptions, grace: grace)
            let receiver = MigrationReceiver(
                wire: receiverWire, output: file.map { .file($0) } ?? .socket(receiverOutput),
                options: receiverOptions, grace: grace)
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
                isStored ? [] : self.receive(from: destination, relay, receiver, over)
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

    /// Takes the stream as a QEMU does: answers, says SHUT when it has all, closes.
    private func receive(
        from socket: StreamSocket, _ relay: MigrationRelay, _ receiver: MigrationReceiver,
        _ over: StopLatch
    ) -> [UInt8] {
        var taken: [UInt8] = []
        var reader = StreamReader()
        var answers = Answers()
        let end = destinationCloses ?? .max
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
            if answers.opensReturnPath {
                if reader.isWhole(), reader.parser.deviceTail.descriptionByteCount > 0 {
                    answers.append(ReturnPath.Message.shut, verdict)
                }
                guard (try? socket.send(unsafe answers.bytes.span.bytes)) != nil else { break }
                answers.bytes = []
                if reader.isWhole(), reader.parser.deviceTail.descriptionByteCount > 0 { break }
            }
        }
        RelayRig.close(socket)
        return taken
    }

    private struct Answers: StreamHandler {
        var opensReturnPath = false
        var bytes: [UInt8] = []

        mutating func append(_ type: UInt16, _ value: UInt32) {
            bytes += [UInt8](copying: ReturnPath.message(type, value).bytes)
        }

        mutating func command(_ command: StreamCommand, _ payload: RawSpan) {
            if command == .openReturnPath { opensReturnPath = true }
            if command == .ping {
                append(ReturnPath.Message.pong, payload.loadBigEndian(at: 0, as: UInt32.self))
            }
        }
    }
}

/// Something that threads wait for, once.
final class StopLatch: Sendable {
    private let pair: (StreamSocket, StreamSocket)?

    init() {
        pair = try? StreamSocket.pair()
    }

    func open() { pair?.0.shutdown(.both) }

    func wait() { _ = pair.flatMap { RelayRig.read($0.1) } }
}

/// What lies between the two relays: it copies both ways until it breaks.
final class RelayProxy: Sendable {
    private let near: StreamSocket
    private let far: StreamSocket
    private let fault: RelayRig.WireFault?

    init(near: StreamSocket, far: StreamSocket, fault: RelayRig.WireFault?) {
        self.near = near
        self.far = far
        self.fault = fault
    }

    func carryForward() -> Int {
        switch fault {
        case .cut(let forward, _): carry(near, far, cutAt: forward)
        case .cutBeforeEnd(let byteCount): carryFrames(cutBeforeEnd: byteCount)
        case .flip(let forward, _): carry(near, far, flipAt: forward)
        case nil: carry(near, far)
        }
    }

    func carryBack() -> Int {
        switch fault {
        case .cut(_, let back): carry(far, near, cutAt: back)
        case .flip(_, let back): carry(far, near, flipAt: back)
        case .cutBeforeEnd, nil: carry(far, near)
        }
    }

    /// Breaks the wire for good.
    func cut() {
        near.shutdown(.both)
        far.shutdown(.both)
    }

    /// Carries towards the receiver frame by frame, each when the next one is whole, so that the one
    /// before END can lose its last bytes; the greeting, which the receiver answers, goes at once.
    ///
    /// How many frames a move has hangs on how its bytes come, so only this finds a place by END.
    private func carryFrames(cutBeforeEnd byteCount: Int) -> Int {
        var input: [UInt8] = []
        var last: [UInt8] = []
        var position = 0
        func send(_ bytes: [UInt8]) {
            position += bytes.count
            try? far.send(unsafe bytes.span.bytes)
        }
        while let more = RelayRig.read(near) {
            input += more
            while input.count >= WireFormat.headByteCount {
                let length = Int(unsafe input.span.bytes.loadBigEndian(at: 4, as: UInt32.self))
                let whole = WireFormat.headByteCount + length
                guard input.count >= whole else { break }
                if input[0] == WireFormat.Kind.end.rawValue {
                    send(last.dropLast(byteCount))
                    cut()
                    return position
                }
                send(last)
                last = Array(input.prefix(whole))
                input.removeFirst(whole)
                guard position == 0, last[0] == WireFormat.Kind.hello.rawValue else { continue }
                send(last)
                last = []
            }
        }
        send(last + input)
        far.shutdown(.writing)
        return position
    }

    private func carry(
        _ from: StreamSocket, _ to: StreamSocket, cutAt: Int = .max, flipAt: Int = -1
    ) -> Int {
        var position = 0
        while position < cutAt {
            guard
                var bytes = RelayRig.read(from, limit: min(65_536, cutAt - position))
            else {
                // The end of one direction leaves the other.
                to.shutdown(.writing)
                return position
            }
            if (position..<position + bytes.count).contains(flipAt) {
                bytes[flipAt - position] ^= 0x10
            }
            position += bytes.count
            guard (try? to.send(unsafe bytes.span.bytes)) != nil else {
                from.shutdown(.reading)
                return position
            }
        }
        cut()
        return position
    }
}

/// What this process has open, from /proc.
enum ProcessState {
    /// The inode of a socket.
    static func inode(of socket: StreamSocket) throws -> UInt64 {
        var status = stat()
        guard unsafe fstat(socket.descriptor.rawValue, &status) == 0 else {
            throw Errno(rawValue: errno)
        }
        return UInt64(status.st_ino)
    }

    /// Where every open descriptor leads.
    static func openFiles() -> [String] {
        names(in: "/proc/self/fd").compactMap { name in
            var buffer = [UInt8](repeating: 0, count: 4096)
            // SAFETY: readlink writes at most the buffer's length.
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                guard let start = bytes.baseAddress else { return -1 }
                return unsafe readlink("/proc/self/fd/\(name)", start, bytes.count)
            }
            return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }

    /// How many mappings and descriptors of memory files there are whose names begin so.
    static func memoryFiles(_ prefix: String) -> (mappings: Int, descriptors: Int) {
        var mappings = 0
        if let file = unsafe fopen("/proc/self/maps", "r") {
            var line = [CChar](repeating: 0, count: 1024)
            while unsafe fgets(&line, 1024, file) != nil {
                let text = String(
                    decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if text.contains("/memfd:\(prefix)") { mappings += 1 }
            }
            unsafe _ = fclose(file)
        }
        return (mappings, openFiles().filter { $0.hasPrefix("/memfd:\(prefix)") }.count)
    }

    /// The threads of relayed moves; others of the process have nothing to do with them.
    static func moveThreads() -> [String] {
        threads("roost-").filter {
            ["roost-relay", "roost-receive", "roost-answers", "roost-dump"].contains($0)
        }
    }

    /// The threads whose names begin so.
    static func threads(_ prefix: String) -> [String] {
        names(in: "/proc/self/task").compactMap { id in
            guard let file = unsafe fopen("/proc/self/task/\(id)/comm", "r") else { return nil }
            defer { unsafe _ = fclose(file) }
            var line = [CChar](repeating: 0, count: 64)
            guard unsafe fgets(&line, 64, file) != nil else { return nil }
            let name = String(
                decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) },
                as: UTF8.self)
            return name.hasPrefix(prefix) ? name : nil
        }
    }

    /// As ``soon(_:)``, and lets other tests go on meanwhile.
    static func settles(_ condition: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return true
    }

    /// Whether something that a thread does on its way out has happened within ten seconds.
    static func soon(_ condition: () -> Bool) -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            sched_yield()
        }
        return true
    }

    private static func names(in folder: String) -> [String] {
        guard let entries = unsafe opendir(folder) else { return [] }
        defer { unsafe _ = closedir(entries) }
        var names: [String] = []
        while let entry = unsafe readdir(entries) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    unsafe String(cString: text)
                }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
