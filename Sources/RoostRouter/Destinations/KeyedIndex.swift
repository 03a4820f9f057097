internal import RoostMemory

/// What an index finds by: a scope, such as a port or a next hop, and an address in it.
///
/// An IPv4 address and the IPv6 address of the same number have equal halves: an index is of one
/// family, or a bit of the scope tells the family.
struct IndexKey: BitwiseCopyable, Hashable, Sendable {
    let scope: UInt32
    let high: UInt64
    let low: UInt64

    init(scope: UInt32, high: UInt64, low: UInt64) {
        self.scope = scope
        self.high = high
        self.low = low
    }

    init(scope: UInt32, address: some NetworkAddress) {
        let halves = address.halves
        self.init(scope: scope, high: halves.high, low: halves.low)
    }
}

/// A hash table from keys to handles that one thread writes and any number read.
///
/// A key has two buckets, named by the halves of its hash, and lies in one of them: a lookup looks
/// at 16 slots at most, whatever was inserted. The table grows by one bucket at a time, as linear
/// hashing does: bucket `i` is split into `i` and `i + 2ⁿ` when the mean load passes
/// ``meanLoad``, so no insertion moves more than 8 keys and there is no second table.
///
///     state    moves (32 bits) · buckets (32)                    one word
///     slots    bucket: 8 × [ tag (32) · node (32) ]              64 bytes a bucket, 0 = free
///     nodes    node: sequence · high · low · scope (32) · handle (32)    32 bytes a key
///     hashes   the hash of a node's key, or the next free node   8 bytes a key, writer only
///
/// A reader takes no lock. A node's words are read between two looks at its sequence, which is odd
/// while the writer changes them, so a node that is used again for another key is never taken for
/// the old one. Whatever moves to another bucket is written there first, then the state changes,
/// then it leaves its old place: a reader that found nothing and sees the state it began with has
/// missed nothing. A key that is there throughout a lookup is found.
///
/// One thread writes. Memory is reserved for the limit and taken where it was used.
struct KeyedIndex: ~Copyable, Sendable {
    /// What became of a key.
    enum Insertion: Equatable {
        /// It is there now.
        case inserted
        /// It was there with another handle, and has the new one now.
        case replaced(UInt32)
        /// There are as many keys as there may be, or (which needs the hash's key to be known) both
        /// of its buckets are full.
        case full
    }

    /// How many slots a bucket has: 64 bytes, a line of the cache.
    private static var bucketSlots: Int { 8 }
    /// How many keys a bucket has on average when the table grows.
    ///
    /// With two buckets to choose from,
    /// five of eight never fill one by chance.
    private static var meanLoad: Int { 5 }
    /// The buckets at the start: a page's worth.
    private static var firstBuckets: Int { 64 }
    /// The most keys that any table may be made for: nodes are counted in 32 bits.
    static var greatestLimit: Int { 1 << 28 }

    /// The most keys.
    let limit: Int
    private let key: SipHashKey
    /// Word 0 is the state; 8 and on, in another line, are the writer's: see `Count`.
    private let state: AtomicArray<UInt64>
    private let slots: AtomicArray<UInt64>
    private let nodes: AtomicArray<UInt64>
    private let hashes: AtomicArray<UInt64>

    /// Where the writer's own numbers lie.
    private enum Count {
        /// How many keys there are.
        static var keys: Int { 8 }
        /// How many nodes were ever used.
        static var nodes: Int { 9 }
        /// The first free node, 0 if there is none.
        static var free: Int { 10 }
    }

    /// Makes an empty table.
    ///
    /// - Parameters:
    ///   - limit: The most keys, 1 to ``greatestLimit``.
    ///   - key: The key of the hash; only tests give one.
    /// - Throws: `RouterError` of kind `memory`.
    init(limit: Int, key: SipHashKey = .random()) throws(RouterError) {
        precondition(limit >= 1 && limit <= Self.greatestLimit)
        let buckets = max((limit + Self.meanLoad - 1) / Self.meanLoad, Self.firstBuckets)
        let table = "an index of \(limit) keys"
        let state = try Self.words(16, for: table)
        let slots = try Self.words(buckets * Self.bucketSlots, for: table)
        // Node 0 is nobody's, so that a slot in use is never 0.
        let nodes = try Self.words((limit + 1) * 4, for: table)
        let hashes = try Self.words(limit + 1, for: table)
        state.release(UInt64(Self.firstBuckets), at: 0)
        self.limit = limit
        self.key = key
        self.state = state
        self.slots = slots
        self.nodes = nodes
        self.hashes = hashes
    }

    private static func words(
        _ count: Int, for table: String
    ) throws(RouterError) -> AtomicArray<UInt64> {
        do {
            return try AtomicArray(count: count)
        } catch {
            throw RouterError(error, for: table)
        }
    }

    /// How many keys there are; exact for the writer.
    var count: Int { Int(state.relaxed(Count.keys)) }

    /// How many buckets there are: the bytes in use are 64 times that and 40 a key.
    var bucketCount: Int { Self.buckets(state.acquire(0)) }

    /// The handle of a key, 0 when it is not there.
    ///
    /// Any thread may call it.
    @inline(__always)  // Once a packet; a call would copy the index's description.
    func find(_ sought: IndexKey) -> UInt32 {
        let hash = hash(of: sought)
        let tag = Self.tag(hash)
        while true {
            let before = state.acquire(0)
            let buckets = Self.buckets(before)
            let first = Self.start(UInt32(truncatingIfNeeded: hash), of: buckets)
            let second = Self.start(UInt32(truncatingIfNeeded: hash >> 32), of: buckets)
            // Both lines are fetched at once.
            let inFirst = slots.matches(upperHalf: tag, from: first)
            let inSecond = slots.matches(upperHalf: tag, from: second)
            if case let found = slot(of: sought, among: inFirst, from: first), found.handle != 0 {
                return found.handle
            }
            if case let found = slot(of: sought, among: inSecond, from: second), found.handle != 0 {
                return found.handle
            }
            if state.acquire(0) == before { return 0 }
        }
    }

    /// Puts a key in, or gives it another handle, on the writer's thread.
    ///
    /// - Precondition: The handle is not 0.
    func insert(_ new: IndexKey, handle: UInt32) -> Insertion {
        precondition(handle != 0)
        let hash = hash(of: new)
        if let old = place(of: new, hash) {
            nodes.release(Self.pack(new.scope, handle), at: old.node * 4 + 3)
            return .replaced(old.handle)
        }
        guard count < limit else { return .full }
        growIfNeeded()
        guard let slot = freeSlot(for: hash) else { return .full }
        let node = takeNode()
        fill(node, with: new, handle: handle, hash: hash)
        slots.release(Self.pack(Self.tag(hash), UInt32(node)), at: slot)
        state.storeRelaxed(UInt64(count + 1), at: Count.keys)
        return .inserted
    }

    /// Takes a key out, on the writer's thread.
    ///
    /// - Returns: The handle it had, 0 when it was not there.
    func remove(_ old: IndexKey) -> UInt32 {
        guard let place = place(of: old, hash(of: old)) else { return 0 }
        slots.release(0, at: place.slot)
        hashes.storeRelaxed(state.relaxed(Count.free), at: place.node)
        state.storeRelaxed(UInt64(place.node), at: Count.free)
        state.storeRelaxed(UInt64(count - 1), at: Count.keys)
        return place.handle
    }
}

/// Hashes and places.
extension KeyedIndex {
    @inline(__always)  // Once a lookup, with constant rounds.
    private func hash(of sought: IndexKey) -> UInt64 {
        key.hash(sought.high, sought.low, sought.scope)
    }

    private static func buckets(_ state: UInt64) -> Int {
        Int(UInt32(truncatingIfNeeded: state))
    }

    private static func pack(_ high: UInt32, _ low: UInt32) -> UInt64 {
        UInt64(high) << 32 | UInt64(low)
    }

    /// The middle of the hash: half of it is left when the bucket is known.
    private static func tag(_ hash: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: hash >> 16)
    }

    /// Linear hashing: the bucket of half a hash among a number of buckets, of which those up to the
    /// last power of two may be split already.
    private static func bucket(_ half: UInt32, of buckets: Int) -> Int {
        let mask = Int.max >> ((buckets &- 1).leadingZeroBitCount &- 1)
        let place = Int(half) & mask
        return place < buckets ? place : place & (mask >> 1)
    }

    /// The first slot of the bucket of half a hash.
    @inline(__always)  // Twice a lookup.
    private static func start(_ half: UInt32, of buckets: Int) -> Int {
        bucket(half, of: buckets) &* bucketSlots
    }

    /// Looks for a key among slots whose tags match; the handle is 0 when it is not there.
    @inline(__always)  // Twice a lookup.
    private func slot(
        of sought: IndexKey, among matches: UInt8, from start: Int
    ) -> (slot: Int, node: Int, handle: UInt32) {
        var left = matches
        while left != 0 {
            let slot = start &+ left.trailingZeroBitCount
            left &= left &- 1
            // Read again: it may have been taken meanwhile, even by another key of the same tag.
            let node = Int(UInt32(truncatingIfNeeded: slots.acquire(slot)))
            if case let handle = handle(of: sought, in: node), node != 0, handle != 0 {
                return (slot, node, handle)
            }
        }
        return (0, 0, 0)
    }

    /// The handle in a node if it is, and stays while it is read, the node of a key; else 0.
    private func handle(of sought: IndexKey, in node: Int) -> UInt32 {
        let sequence = nodes.acquire(node &* 4)
        let high = nodes.acquire(node &* 4 &+ 1)
        let low = nodes.acquire(node &* 4 &+ 2)
        let last = nodes.acquire(node &* 4 &+ 3)
        // A node that changes belongs to a key that comes: the sought one is not in it yet.
        guard sequence & 1 == 0, high == sought.high, low == sought.low,
            UInt32(truncatingIfNeeded: last >> 32) == sought.scope,
            nodes.relaxed(node &* 4) == sequence
        else { return 0 }
        return UInt32(truncatingIfNeeded: last)
    }

    /// Where a key lies, for the writer.
    private func place(
        of sought: IndexKey, _ hash: UInt64
    ) -> (slot: Int, node: Int, handle: UInt32)? {
        let choices = choices(of: hash)
        return place(of: sought, hash, in: choices.first)
            ?? place(of: sought, hash, in: choices.second)
    }

    private func place(
        of sought: IndexKey, _ hash: UInt64, in bucket: Int
    ) -> (slot: Int, node: Int, handle: UInt32)? {
        let start = bucket * Self.bucketSlots
        let matches = slots.matches(upperHalf: Self.tag(hash), from: start)
        let found = slot(of: sought, among: matches, from: start)
        return found.handle == 0 ? nil : found
    }

    /// The two buckets of a hash, for the writer.
    private func choices(of hash: UInt64) -> (first: Int, second: Int) {
        let buckets = bucketCount
        return (
            Self.bucket(UInt32(truncatingIfNeeded: hash), of: buckets),
            Self.bucket(UInt32(truncatingIfNeeded: hash >> 32), of: buckets)
        )
    }
}

/// The writer's part: nodes, room and growth.
extension KeyedIndex {
    /// A node that no slot names.
    private func takeNode() -> Int {
        let free = Int(state.relaxed(Count.free))
        if free != 0 {
            state.storeRelaxed(hashes.relaxed(free), at: Count.free)
            return free
        }
        let node = Int(state.relaxed(Count.nodes)) + 1
        state.storeRelaxed(UInt64(node), at: Count.nodes)
        return node
    }

    private func fill(_ node: Int, with new: IndexKey, handle: UInt32, hash: UInt64) {
        let sequence = nodes.relaxed(node * 4)
        nodes.storeRelaxed(sequence &+ 1, at: node * 4)
        // Releasing: who reads one of these sees at least the odd sequence.
        nodes.release(new.high, at: node * 4 + 1)
        nodes.release(new.low, at: node * 4 + 2)
        nodes.release(Self.pack(new.scope, handle), at: node * 4 + 3)
        nodes.release(sequence &+ 2, at: node * 4)
        hashes.storeRelaxed(hash, at: node)
    }

    /// A free slot in the emptier of a hash's buckets, after moving a key if both are full.
    private func freeSlot(for hash: UInt64) -> Int? {
        let choices = choices(of: hash)
        let first = room(in: choices.first)
        let second = room(in: choices.second)
        if first.count + second.count > 0 {
            return first.count >= second.count ? first.slot : second.slot
        }
        return makeRoom(in: choices.first) ?? makeRoom(in: choices.second)
    }

    /// How many slots of a bucket are free, and the first of them.
    private func room(in bucket: Int) -> (count: Int, slot: Int) {
        var count = 0
        var free = 0
        let start = bucket * Self.bucketSlots
        for slot in (start..<start + Self.bucketSlots).reversed() where slots.relaxed(slot) == 0 {
            count += 1
            free = slot
        }
        return (count, free)
    }

    /// Moves one key of a full bucket to its other bucket, and answers the slot that it leaves free.
    private func makeRoom(in bucket: Int) -> Int? {
        let start = bucket * Self.bucketSlots
        for slot in start..<start + Self.bucketSlots {
            let word = slots.relaxed(slot)
            let choices = choices(of: hashes.relaxed(Int(UInt32(truncatingIfNeeded: word))))
            let other = choices.first == bucket ? choices.second : choices.first
            guard case let room = room(in: other), room.count > 0 else { continue }
            slots.release(word, at: room.slot)
            publish(buckets: bucketCount)
            slots.release(0, at: slot)
            return slot
        }
        return nil
    }

    /// Says that keys have moved: readers that began before look again when they find nothing.
    private func publish(buckets: Int) {
        let moves = UInt32(truncatingIfNeeded: state.relaxed(0) >> 32) &+ 1
        state.release(Self.pack(moves, UInt32(buckets)), at: 0)
    }

    /// Splits the next bucket when one more key would pass the mean load.
    private func growIfNeeded() {
        let buckets = bucketCount
        guard count >= buckets * Self.meanLoad, (buckets + 1) * Self.bucketSlots <= slots.count
        else { return }
        // The new bucket takes from the one that differs in the highest bit of its number.
        let source = buckets - (1 << (Int.bitWidth - 1 - buckets.leadingZeroBitCount))
        let start = source * Self.bucketSlots
        let target = buckets * Self.bucketSlots
        var moved: UInt8 = 0
        for place in 0..<Self.bucketSlots {
            let word = slots.relaxed(start + place)
            guard word != 0 else { continue }
            let hash = hashes.relaxed(Int(UInt32(truncatingIfNeeded: word)))
            let first = Self.bucket(UInt32(truncatingIfNeeded: hash), of: buckets + 1)
            let second = Self.bucket(UInt32(truncatingIfNeeded: hash >> 32), of: buckets + 1)
            guard first != source && second != source else { continue }
            slots.release(word, at: target + place)
            moved |= 1 << place
        }
        publish(buckets: buckets + 1)
        for place in 0..<Self.bucketSlots where moved & 1 << place != 0 {
            slots.release(0, at: start + place)
        }
    }
}
