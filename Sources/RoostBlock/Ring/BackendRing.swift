internal import RoostMemory

/// A backend's end of a ring: requests come out, responses go in.
///
/// One thread uses it. The pages are the frontend's, which may write them at any time: a request is
/// copied out once, and only the copy is looked at. A response takes the slot of a request that was
/// copied out before, whichever request it answers.
struct BackendRing: ~Copyable {
    /// Where things lie in it.
    let layout: RingLayout
    private let words: SharedRingWords
    private var requests: RingConsumer
    private var responses: RingProducer

    private init(_ layout: RingLayout, _ words: SharedRingWords, at index: UInt32) {
        self.layout = layout
        self.words = words
        requests = RingConsumer(at: index, index: .requestProducer, event: .requestEvent)
        responses = RingProducer(at: index, index: .responseProducer, event: .responseEvent)
    }

    /// Attaches to a ring that a frontend has begun, and that another backend may have served.
    ///
    /// Both indices start from the responses that are there. What no response has been published
    /// for is taken again, and that is what was not answered if responses were put in the order of
    /// their requests.
    ///
    /// - Parameters:
    ///   - layout: Where things lie in it.
    ///   - window: The pages, mapped and writable.
    ///   - page: The ring's first page there; the others follow it.
    /// - Returns: `nil` when its indices say what cannot be.
    static func attach(
        _ layout: RingLayout, in window: PageWindow, atPage page: Int
    ) -> BackendRing? {
        let words = SharedRingWords(window: window, base: page &* pageByteCount)
        let answered = words.loadAcquiring(.responseProducer)
        guard words.loadAcquiring(.requestProducer) &- answered <= UInt32(layout.slotCount) else {
            return nil
        }
        return BackendRing(layout, words, at: answered)
    }

    /// How many requests were taken and have no response put yet.
    var heldCount: Int { Int(requests.next &- responses.next) }

    /// Looks how many requests wait.
    ///
    /// - Returns: `.broken` when there would be more than the ring has room for, or fewer than
    ///   were taken; the ring cannot be used any more.
    mutating func look() -> RingBacklog {
        requests.look(most: UInt32(layout.slotCount &- heldCount), words)
    }

    /// Copies the next request out of the ring.
    ///
    /// - Precondition: ``look()`` has found it.
    mutating func takeRequest() -> BlockRequest {
        var slot = SlotWords(repeating: 0)
        let offset = words.base &+ layout.slotOffset(requests.next)
        requests.advance()
        words.window.loadWords(at: offset, into: &slot, limit: layout.slotByteCount / 4)
        return BlockRequest(slot, layout.blockProtocol)
    }

    /// Puts a response into the next slot; the frontend sees it after ``publish()``.
    ///
    /// - Precondition: ``heldCount`` is above 0.
    mutating func put(_ response: BlockResponse) {
        precondition(heldCount > 0)
        let offset = words.base &+ layout.slotOffset(responses.next)
        let byteCount = BlockResponse.byteCount(layout.blockProtocol)
        words.window.storeWords(response.encoded, at: offset, limit: byteCount / 4)
        responses.advance()
    }

    /// Shows the frontend what was put.
    ///
    /// - Returns: Whether it is to be notified.
    mutating func publish() -> Bool { responses.publish(words) }

    /// Asks to be notified of the next request; call it when ``look()`` finds nothing.
    ///
    /// - Returns: Whether there is one already.
    func rearm() -> Bool { requests.rearm(words) }
}
