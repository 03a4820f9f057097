internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// QEMU's return path: what a destination answers while a stream comes (QEMU:
/// `docs/devel/migration`, `MIG_RP_MSG_*`).
///
///     be16 type │ be16 length │ payload
struct ReturnPath: ~Copyable {
    /// The types that a precopy migration knows.
    enum Message {
        static let shut: UInt16 = 1
        static let pong: UInt16 = 2
    }

    /// The longest payload.
    static let payloadLimit = 512

    /// What the destination's SHUT said: 0 when it has loaded everything.
    private(set) var verdict: UInt32?

    private var pending = ByteQueue(capacity: 4096)

    /// Follows the answers that pass by.
    ///
    /// - Parameters:
    ///   - bytes: The answers, in any pieces.
    ///   - each: Is given each message once it is whole, with its type.
    /// - Returns: `false` when the bytes are no return path.
    mutating func follow(
        _ bytes: RawSpan, _ each: (_ type: UInt16, _ message: RawSpan) -> Void = { _, _ in }
    ) -> Bool {
        var position = 0
        while position < bytes.byteCount {
            let taken = min(pending.room, bytes.byteCount - position)
            pending.append(bytes.extracting(position..<position + taken))
            position += taken
            while let byteCount = nextMessage() {
                guard byteCount > 0 else { return false }
                each(
                    pending.bytes.loadBigEndian(at: 0, as: UInt16.self),
                    pending.bytes.extracting(0..<byteCount))
                pending.removeFirst(byteCount)
            }
        }
        return true
    }

    /// Looks at the message in front: its length, 0 when it is none, `nil` when more is needed.
    private mutating func nextMessage() -> Int? {
        var cursor = SpanCursor(pending.bytes)
        guard let type = cursor.read(UInt16.self), let length = cursor.read(UInt16.self) else {
            return nil
        }
        // QEMU says nothing after SHUT.
        guard length <= Self.payloadLimit, verdict == nil else { return 0 }
        guard let payload = cursor.skip(Int(length)) else { return nil }
        if type == Message.shut {
            guard length == 4 else { return 0 }
            verdict = pending.bytes.loadBigEndian(at: payload.lowerBound, as: UInt32.self)
        }
        return 4 + Int(length)
    }

    /// A message of one word, as a destination would send it.
    static func message(_ type: UInt16, _ value: UInt32) -> ByteQueue {
        var queue = ByteQueue(capacity: 8)
        queue.append(bigEndian: type)
        queue.append(bigEndian: UInt16(4))
        queue.append(bigEndian: value)
        return queue
    }
}

/// Answers of a destination on their way to a source, which may be slow to read them.
struct AnswerQueue: ~Copyable {
    private var queue: ByteQueue
    private let limit: Int
    private var returnPath = ReturnPath()

    /// Makes an empty queue.
    ///
    /// - Parameter capacity: The most bytes that wait for the source, the last word aside.
    init(capacity: Int) {
        limit = capacity
        queue = ByteQueue(capacity: capacity + 8)
    }

    var isEmpty: Bool { queue.isEmpty }

    /// Takes answers.
    ///
    /// - Returns: `false` when the bytes are no return path, or the last word, which is not the
    ///   destination's to say.
    /// - Throws: `MigrationError` of kind `limit` when too much waits already.
    mutating func take(_ bytes: RawSpan) throws(MigrationError) -> Bool {
        guard bytes.byteCount <= limit - queue.count else {
            throw MigrationError(
                .limit, "the source QEMU does not read what the destination answers")
        }
        guard returnPath.follow(bytes), returnPath.verdict == nil else { return false }
        queue.append(bytes)
        return true
    }

    /// Tells the source that it may let go of the guest, behind what waits already.
    mutating func shut() {
        queue.append(ReturnPath.message(ReturnPath.Message.shut, 0).bytes)
    }

    /// Forgets what waits.
    mutating func clear() { queue.removeAll() }

    /// Sends as much as a source has room for, without waiting.
    mutating func send(to source: StreamSocket) throws(Errno) {
        while !queue.isEmpty {
            let sent = try source.sendNow(queue.bytes)
            guard sent > 0 else { return }
            queue.removeFirst(sent)
        }
    }
}
