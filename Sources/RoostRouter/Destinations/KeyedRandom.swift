/// Random numbers that cost a hash each and cannot be foretold from those seen: SipHash of a count.
///
/// For bounds and buckets whose size an outsider could otherwise measure.
struct KeyedRandom: RandomNumberGenerator, Sendable {
    private let key: SipHashKey
    private var count: UInt64 = 0

    /// Numbers of their own; only tests give a key.
    init(key: SipHashKey = .random()) {
        self.key = key
    }

    mutating func next() -> UInt64 {
        // It wraps after longer than any machine runs.
        count &+= 1
        return key.hash(count, 0, 0)
    }
}
