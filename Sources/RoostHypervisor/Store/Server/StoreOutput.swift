/// What a client of the store has not taken yet: answers and watch events, in their order.
///
/// Bounded: no more answers than the limit (further requests wait), and each watch event once,
/// however often it happens; when there are too many of them they become one for each watch.
struct StoreOutput: Sendable {
    /// A watch event: which watch, and what it is told has changed.
    struct Event: Hashable, Sendable {
        let watch: StoreWatchID
        /// As the client is told: relative if the watch is.
        let path: String
    }

    private enum Entry: Sendable {
        case answer(StoreMessage)
        case event(Event)
    }

    private var entries: [Entry] = []
    private var start = 0
    private var events: Set<Event> = []
    /// How many answers wait.
    private(set) var answerCount = 0

    /// Whether nothing waits.
    var isEmpty: Bool { start == entries.count }

    /// How many events wait.
    var eventCount: Int { events.count }

    /// Adds the answer to a request.
    mutating func append(_ answer: StoreMessage) {
        entries.append(.answer(answer))
        answerCount += 1
    }

    /// Adds an event, unless the same one waits already.
    mutating func append(_ event: Event) {
        guard events.insert(event).inserted else { return }
        entries.append(.event(event))
    }

    /// Drops the events of a watch that is no more.
    mutating func drop(_ watch: StoreWatchID) {
        replaceEvents { $0.watch == watch ? nil : $0 }
    }

    /// Makes all events of a watch one, of the path that it watches: "look at all of it again".
    mutating func fold(_ watches: [StoreWatchID: StoreWatchEntry]) {
        replaceEvents { event in
            watches[event.watch].map { Event(watch: event.watch, path: $0.toldPath) }
        }
    }

    private mutating func replaceEvents(_ replacement: (Event) -> Event?) {
        events = []
        var kept: [Entry] = []
        for entry in entries[start...] {
            switch entry {
            case .answer: kept.append(entry)
            case .event(let event):
                guard let event = replacement(event), events.insert(event).inserted else {
                    continue
                }
                kept.append(.event(event))
            }
        }
        entries = kept
        start = 0
    }

    /// Takes whole messages, oldest first, up to about so many bytes.
    mutating func take(
        _ watches: [StoreWatchID: StoreWatchEntry], byteLimit: Int
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        while start < entries.count, bytes.count < byteLimit {
            switch entries[start] {
            case .answer(let message):
                answerCount -= 1
                message.encode(into: &bytes)
            case .event(let event):
                events.remove(event)
                if let token = watches[event.watch]?.token {
                    Self.encode(event, token, into: &bytes)
                }
            }
            start += 1
        }
        if isEmpty {
            entries = []
            start = 0
        } else if start > entries.count / 2 {
            entries.removeFirst(start)
            start = 0
        }
        return bytes
    }

    private static func encode(_ event: Event, _ token: [UInt8], into bytes: inout [UInt8]) {
        let message = StoreMessage(
            .watchEvent, payload: Array(event.path.utf8) + [0] + token + [0])
        // A long token may leave no room for a path below the watched one.
        guard message.payload.count <= StoreWire.maximumPayloadByteCount else { return }
        message.encode(into: &bytes)
    }
}
