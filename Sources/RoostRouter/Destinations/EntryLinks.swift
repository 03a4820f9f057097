internal import RoostMemory

/// A list of entries: its first, how many, and where a walk that is cut in slices goes on.
internal struct EntryList: BitwiseCopyable, Sendable {
    var first: UInt32 = 0
    var cursor: UInt32 = 0
    var count = 0
}

/// The links of all entries for one kind of list (of a port, of a namespace), of which an entry is
/// in one at most.
///
/// New entries go in front, so that a walk from the front sees none that came after it began.
internal struct EntryLinks: ~Copyable {
    // Not private: a debug build of the compiler's version 6.3.1 fails on an array of a private type here.
    struct Links: BitwiseCopyable, Sendable {
        var next: UInt32 = 0
        var previous: UInt32 = 0
    }

    private var links: FixedArray<Links>

    init(count: Int) throws(RouterError) {
        do {
            links = try FixedArray(count: count)
        } catch {
            throw RouterError(error, for: "the links of \(count) destinations")
        }
    }

    /// The entry behind another one, 0 after the last.
    func next(after handle: UInt32) -> UInt32 { links[Int(handle)].next }

    mutating func insert(_ handle: UInt32, in list: inout EntryList) {
        links[Int(handle)] = Links(next: list.first, previous: 0)
        if list.first != 0 { links[Int(list.first)].previous = handle }
        list.first = handle
        list.count += 1
    }

    mutating func remove(_ handle: UInt32, from list: inout EntryList) {
        let own = links[Int(handle)]
        if list.cursor == handle { list.cursor = own.next }
        if own.previous == 0 {
            list.first = own.next
        } else {
            links[Int(own.previous)].next = own.next
        }
        if own.next != 0 { links[Int(own.next)].previous = own.previous }
        links[Int(handle)] = Links()
        list.count -= 1
    }
}
