/// How the flows of a route with several next hops are shared: 128 buckets, each of one next hop.
///
/// A flow's hash names its bucket, so all packets of a flow go one way. When a next hop goes, its buckets
/// are shared among the others and no other flow moves; when one comes, it takes buckets from those that
/// have more than their share. (RFC 2992 analyses how many flows move with a plain division of the hash:
/// up to half; here as few as can.)
struct PathBuckets: Hashable, Sendable {
    /// How many buckets there are: with 64 next hops each has two, and shares are exact to 1/128.
    static let count = 128
    /// 2^7 buckets.
    static let order = 7

    /// Of each bucket the next hop's place in ``members``.
    private(set) var owners: [UInt8]
    /// The next hops, by handle.
    let members: [NextHop]

    /// Shares the buckets of some next hops.
    ///
    /// - Parameters:
    ///   - members: Next hops with different destinations, by handle, two or more.
    ///   - old: Whose flows are to stay where they are, if there was something before.
    init(_ members: [NextHop], keeping old: PathBuckets?) {
        self.members = members
        let none = UInt8.max
        var owners = Array(repeating: none, count: Self.count)
        if let old {
            for bucket in 0..<Self.count {
                let destination = old.members[Int(old.owners[bucket])].destination
                if let place = members.firstIndex(where: { $0.destination == destination }) {
                    owners[bucket] = UInt8(place)
                }
            }
        }
        var have = Array(repeating: 0, count: members.count)
        let shares = Self.shares(of: members)
        // First what is above its share gives up its last buckets, then what is below takes free ones.
        for bucket in 0..<Self.count where owners[bucket] != none {
            let owner = Int(owners[bucket])
            if have[owner] == shares[owner] {
                owners[bucket] = none
            } else {
                have[owner] += 1
            }
        }
        var next = 0
        for bucket in 0..<Self.count where owners[bucket] == none {
            // In turn, so that neighbouring buckets differ.
            while have[next] >= shares[next] {
                next = (next + 1) % members.count
            }
            owners[bucket] = UInt8(next)
            have[next] += 1
            next = (next + 1) % members.count
        }
        self.owners = owners
    }

    /// The destination of a bucket.
    func destination(_ bucket: Int) -> DestinationHandle {
        members[Int(owners[bucket])].destination
    }

    /// How many buckets each next hop is due: by weight, at least one, 128 together.
    static func shares(of members: [NextHop]) -> [Int] {
        let total = members.reduce(0) { $0 + Int($1.weight) }
        var shares = members.map { max(1, Self.count * Int($0.weight) / total) }
        var left = Self.count - shares.reduce(0, +)
        // What rounding left goes to those that lost most by it; one bucket at least may be too much.
        while left != 0 {
            let owed = members.indices.map {
                Self.count * Int(members[$0].weight) - shares[$0] * total
            }
            let candidates = members.indices.filter { left > 0 || shares[$0] > 1 }
            guard
                let place = left > 0
                    ? candidates.max(by: { owed[$0] < owed[$1] })
                    : candidates.min(by: { owed[$0] < owed[$1] })
            else { break }
            shares[place] += left > 0 ? 1 : -1
            left += left > 0 ? -1 : 1
        }
        return shares
    }
}
