internal import RoostMemory

/// When numbered things are due: scheduling, cancelling and finding what is due take constant time.
///
/// A wheel of 4096 slots of 256 ms, 17 minutes: longer than anything that is learned lives. What is
/// due later is put back when its slot comes. Nothing comes early, and nothing more than a slot
/// after its time. One thread owns it and gives it the time.
struct TimerWheel: ~Copyable, Sendable {
    /// A slot's length as a power of two of milliseconds.
    private static var slotShift: UInt64 { 8 }
    private static var slotCount: UInt64 { 4096 }

    private var slots: IndexedLists
    private var due: FixedArray<UInt64>
    /// The first slot, counted from time 0, that may hold something.
    private var cursor: UInt64 = 0
    /// How many things are scheduled.
    private(set) var count = 0

    /// Makes a wheel on which nothing is.
    ///
    /// - Parameters:
    ///   - things: The greatest number of a thing; the least is 1.
    ///   - name: What the things are, for the message.
    /// - Throws: `RouterError` of kind `memory`.
    init(things: Int, of name: String) throws(RouterError) {
        let slots = try IndexedLists(things: things, lists: Int(Self.slotCount), of: name)
        do {
            due = try FixedArray(count: things + 1)
        } catch {
            throw RouterError(error, for: "the times of \(name)")
        }
        self.slots = slots
    }

    /// Has a thing come when its time has passed, and no more when it was to come before.
    ///
    /// - Parameters:
    ///   - thing: The thing, from 1.
    ///   - time: In milliseconds.
    mutating func schedule(_ thing: UInt32, at time: UInt64) {
        if slots.list(of: thing) == nil { count += 1 }
        due[Int(thing)] = time
        place(thing, notBefore: cursor)
    }

    /// Has a thing not come.
    mutating func cancel(_ thing: UInt32) {
        guard slots.list(of: thing) != nil else { return }
        slots.remove(thing)
        count -= 1
    }

    /// Takes a thing whose time has passed off the wheel; nil when there is none.
    ///
    /// The caller bounds its work by how often it asks: a call looks at the slots that have passed
    /// since the last one and at the things that it has to put back.
    mutating func popExpired(now: UInt64) -> UInt32? {
        let last = now >> Self.slotShift
        if count == 0 {
            cursor = max(cursor, last + 1)
            return nil
        }
        // A turn visits all slots, and none need be visited twice.
        if last > cursor + Self.slotCount { cursor = last - Self.slotCount }
        while cursor <= last {
            let thing = slots.first(Int(cursor % Self.slotCount))
            guard thing != 0 else {
                cursor += 1
                continue
            }
            if Self.slot(of: due[Int(thing)]) <= last {
                slots.remove(thing)
                count -= 1
                return thing
            }
            place(thing, notBefore: cursor + 1)
        }
        return nil
    }

    /// The end of the first slot that holds something, in milliseconds; nil when nothing is due.
    var nextExpiry: UInt64? {
        guard count > 0 else { return nil }
        for slot in cursor..<cursor + Self.slotCount
        where slots.count(Int(slot % Self.slotCount)) > 0 {
            return slot << Self.slotShift
        }
        return nil
    }

    /// The slot that begins when a time has passed.
    private static func slot(of time: UInt64) -> UInt64 {
        (time >> slotShift) + (time & (1 << slotShift - 1) == 0 ? 0 : 1)
    }

    private mutating func place(_ thing: UInt32, notBefore first: UInt64) {
        // What is due after a turn waits in a slot other than the one it may come from.
        let slot = min(max(Self.slot(of: due[Int(thing)]), first), first + Self.slotCount - 2)
        slots.append(thing, to: Int(slot % Self.slotCount))
    }
}
