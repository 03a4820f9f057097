internal import RoostMemory
internal import Synchronization

/// The indices that both ends of a ring share, by the offset of each (`io/ring.h`).
enum RingWord: Int {
    case requestProducer = 0
    case requestEvent = 4
    case responseProducer = 8
    case responseEvent = 12
}

/// The indices of a ring, and what orders the looks at them.
///
/// The rules of who is to be woken are written over this, so that they run over shared memory and,
/// in a test, over a model of it in which every order that a processor may choose is tried.
protocol RingMemory {
    /// Reads an index; what its writer wrote before it is seen by the reads that follow.
    func loadAcquiring(_ word: RingWord) -> UInt32
    /// Reads an index, without ordering anything.
    func loadRelaxed(_ word: RingWord) -> UInt32
    /// Writes an index after everything that was written before.
    func storeReleasing(_ value: UInt32, to word: RingWord)
    /// Writes an index, without ordering anything.
    func storeRelaxed(_ value: UInt32, to word: RingWord)
    /// Makes all that was written before seen by all before anything that follows is read.
    ///
    /// The one order that x86 does not keep by itself.
    func fence()
}

/// The indices of a ring that lies in a window.
struct SharedRingWords: RingMemory {
    /// Where the ring lies.
    let window: PageWindow
    /// Its first byte there.
    let base: Int

    func loadAcquiring(_ word: RingWord) -> UInt32 {
        window.loadAcquiring(at: base &+ word.rawValue)
    }

    func loadRelaxed(_ word: RingWord) -> UInt32 { window.loadRelaxed(at: base &+ word.rawValue) }

    func storeReleasing(_ value: UInt32, to word: RingWord) {
        window.storeReleasing(value, at: base &+ word.rawValue)
    }

    func storeRelaxed(_ value: UInt32, to word: RingWord) {
        window.storeRelaxed(value, at: base &+ word.rawValue)
    }

    func fence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}
