internal import RoostMemory

/// Many lists of numbered things, each thing in one list at most, in the order in which they came.
///
/// Everything takes constant time and nothing is allocated after the start. Things are numbered
/// from 1, lists from 0; 0 stands for "no thing". One thread owns it.
struct IndexedLists: ~Copyable, Sendable {
    struct Links: BitwiseCopyable, Sendable {
        var next: UInt32
        var previous: UInt32
        /// The list's number and 1, 0 when the thing is in none.
        var list: UInt32
    }

    struct Ends: BitwiseCopyable, Sendable {
        var first: UInt32
        var last: UInt32
        var count: UInt32
    }

    private var links: FixedArray<Links>
    private var ends: FixedArray<Ends>

    /// Makes empty lists.
    ///
    /// - Parameters:
    ///   - things: The greatest number of a thing.
    ///   - lists: How many lists.
    ///   - name: What the lists are of, for the message.
    /// - Throws: `RouterError` of kind `memory`.
    init(things: Int, lists: Int, of name: String) throws(RouterError) {
        do {
            let links = try FixedArray<Links>(count: things + 1)
            let ends = try FixedArray<Ends>(count: lists)
            self.links = links
            self.ends = ends
        } catch {
            throw RouterError(error, for: "the lists of \(name)")
        }
    }

    /// How many things a list has.
    func count(_ list: Int) -> Int { Int(ends[list].count) }

    /// The thing that came first, 0 when the list is empty.
    func first(_ list: Int) -> UInt32 { ends[list].first }

    /// The thing that came after another in its list, 0 after the last.
    func next(_ thing: UInt32) -> UInt32 { links[Int(thing)].next }

    /// The list that a thing is in.
    func list(of thing: UInt32) -> Int? {
        let list = links[Int(thing)].list
        return list == 0 ? nil : Int(list) - 1
    }

    /// Puts a thing at a list's end, from whatever list it is in.
    mutating func append(_ thing: UInt32, to list: Int) {
        remove(thing)
        let last = ends[list].last
        links[Int(thing)] = Links(next: 0, previous: last, list: UInt32(list + 1))
        if last == 0 {
            ends[list].first = thing
        } else {
            links[Int(last)].next = thing
        }
        ends[list].last = thing
        ends[list].count += 1
    }

    /// Takes a thing out of its list, if it is in one.
    mutating func remove(_ thing: UInt32) {
        let old = links[Int(thing)]
        guard old.list != 0 else { return }
        let list = Int(old.list) - 1
        if old.previous == 0 {
            ends[list].first = old.next
        } else {
            links[Int(old.previous)].next = old.next
        }
        if old.next == 0 {
            ends[list].last = old.previous
        } else {
            links[Int(old.next)].previous = old.previous
        }
        ends[list].count -= 1
        links[Int(thing)] = Links(next: 0, previous: 0, list: 0)
    }
}
