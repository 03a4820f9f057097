/// One end's writing of one direction of a ring (`RING_PUSH_…_AND_CHECK_NOTIFY` of `io/ring.h`).
///
/// The shared index is only written: what the end itself knows is never read back from memory that
/// its peer can write.
struct RingProducer {
    /// The index of the next slot to be filled.
    private(set) var next: UInt32
    /// What the peer has been shown.
    private(set) var published: UInt32
    private let indexWord: RingWord
    private let eventWord: RingWord

    /// Begins at an index, as the producer of requests or of responses.
    init(at index: UInt32, index indexWord: RingWord, event eventWord: RingWord) {
        next = index
        published = index
        self.indexWord = indexWord
        self.eventWord = eventWord
    }

    /// Counts a slot that was filled.
    mutating func advance() { next &+= 1 }

    /// Shows the peer the slots filled since the last time.
    ///
    /// - Returns: Whether the peer has asked to be told of one of them.
    mutating func publish(_ memory: some RingMemory) -> Bool {
        let old = published
        guard next != old else { return false }
        published = next
        memory.storeReleasing(next, to: indexWord)
        // The peer writes its event index, then reads this one; here it is the other way round.
        // Unless both really happen in that order, each end can miss what the other wrote.
        memory.fence()
        let event = memory.loadRelaxed(eventWord)
        return next &- event < next &- old
    }
}

/// One end's reading of one direction of a ring (`RING_FINAL_CHECK_FOR_…` of `io/ring.h`).
struct RingConsumer {
    /// The index of the next slot to be read.
    private(set) var next: UInt32
    /// Slots before this one may be read: what was last seen of the producer's index, checked.
    private(set) var limit: UInt32
    private let indexWord: RingWord
    private let eventWord: RingWord

    /// Begins at an index, as the consumer of requests or of responses.
    init(at index: UInt32, index indexWord: RingWord, event eventWord: RingWord) {
        next = index
        limit = index
        self.indexWord = indexWord
        self.eventWord = eventWord
    }

    /// Looks how far the producer has come.
    ///
    /// - Parameters:
    ///   - most: How many slots can be waiting, from what this end itself knows.
    ///   - memory: The indices.
    /// - Returns: How many slots wait, or that the producer claims what cannot be.
    mutating func look(most: UInt32, _ memory: some RingMemory) -> RingBacklog {
        let producer = memory.loadAcquiring(indexWord)
        let waiting = producer &- next
        // An index that has gone back counts here as nearly 2 to the 32nd slots.
        guard waiting <= most else { return .broken }
        limit = producer
        return .slots(Int(waiting))
    }

    /// Counts a slot that was read.
    ///
    /// - Precondition: ``look(most:_:)`` has found it.
    mutating func advance() {
        precondition(next != limit)
        next &+= 1
    }

    /// Asks to be told of the next slot, then looks once more.
    ///
    /// - Returns: Whether there is one already: the peer may not have seen the question.
    func rearm(_ memory: some RingMemory) -> Bool {
        memory.storeRelaxed(next &+ 1, to: eventWord)
        // As in `RingProducer.publish(_:)`.
        memory.fence()
        return memory.loadAcquiring(indexWord) != next
    }
}

/// What waits in a ring.
enum RingBacklog: Equatable {
    /// So many slots.
    case slots(Int)
    /// The peer's index says what cannot be: the ring is of no use any more.
    case broken
}
