internal import RoostMemory

/// A guest's end of a ring: requests go in, responses come out.
///
/// One thread uses it. Nothing that the backend writes is believed: its index is compared with what
/// was really asked, and a response is copied out once.
struct FrontendRing: ~Copyable {
    /// Where things lie in it.
    let layout: RingLayout
    private let words: SharedRingWords
    private var requests: RingProducer
    private var responses: RingConsumer

    /// Begins an empty ring in granted pages.
    ///
    /// - Parameters:
    ///   - layout: Where things lie in it.
    ///   - window: The pages, mapped and writable.
    ///   - page: The ring's first page there; the others follow it.
    ///   - index: Where the indices begin: 0, but for tests of how they wrap.
    init(
        _ layout: RingLayout, in window: PageWindow, atPage page: Int, startingAt index: UInt32 = 0
    ) {
        self.layout = layout
        words = SharedRingWords(window: window, base: page &* pageByteCount)
        window.zero(count: layout.pageCount &* pageByteCount, at: words.base)
        words.storeRelaxed(index, to: .requestProducer)
        words.storeRelaxed(index, to: .responseProducer)
        words.storeRelaxed(index &+ 1, to: .requestEvent)
        words.storeRelaxed(index &+ 1, to: .responseEvent)
        requests = RingProducer(at: index, index: .requestProducer, event: .requestEvent)
        responses = RingConsumer(at: index, index: .responseProducer, event: .responseEvent)
    }

    /// How many requests there is room for.
    var freeCount: Int { layout.slotCount &- Int(requests.next &- responses.next) }

    /// How many requests have no response taken yet, those not published included.
    var outstandingCount: Int { Int(requests.next &- responses.next) }

    /// Puts a request into the next slot; the backend sees it after ``publish()``.
    ///
    /// - Precondition: ``freeCount`` is above 0.
    mutating func put(_ request: BlockRequest) {
        precondition(freeCount > 0)
        let slot = request.encoded(layout.blockProtocol)
        let offset = words.base &+ layout.slotOffset(requests.next)
        words.window.storeWords(slot, at: offset, limit: layout.slotByteCount / 4)
        requests.advance()
    }

    /// Shows the backend what was put.
    ///
    /// - Returns: Whether it is to be notified.
    mutating func publish() -> Bool { requests.publish(words) }

    /// Looks how many responses wait.
    ///
    /// - Returns: `.broken` when the backend claims more than was asked; the ring cannot be used
    ///   any more.
    mutating func look() -> RingBacklog {
        responses.look(most: requests.published &- responses.next, words)
    }

    /// Takes the next response out, unchecked: its identifier and operation are whatever the
    /// backend wrote.
    ///
    /// - Precondition: ``look()`` has found it.
    mutating func takeResponse() -> BlockResponse {
        var slot = [4 of UInt32](repeating: 0)
        let offset = words.base &+ layout.slotOffset(responses.next)
        responses.advance()
        words.window.loadWords(at: offset, into: &slot)
        return BlockResponse(slot)
    }

    /// Asks to be notified of the next response; call it when ``look()`` finds nothing.
    ///
    /// - Returns: Whether there is one already.
    func rearm() -> Bool { responses.rearm(words) }
}
