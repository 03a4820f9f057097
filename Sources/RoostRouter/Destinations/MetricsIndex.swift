internal import RoostMemory

/// Which sets of metrics are in use: equal sets are kept once and shared by their number, and a change
/// takes another number instead of writing what others read (copy on write).
///
/// The processor owns it; the sets lie in the slab, where readers find them by number.
internal struct MetricsIndex {
    /// How many sets there are at most, set 0 among them: as many as the number in
    /// ``DestinationLink`` can name.
    static let limit = 1 << 16

    private struct Use {
        var number: UInt16
        var count: Int
    }

    private var uses: [DestinationMetrics: Use] = [:]
    /// Numbers whose readers may still be in their batch, with the epochs that have to pass.
    private var resting: [(number: UInt16, epoch: UInt64)] = []
    private var free: [UInt16] = []
    private var fresh = 1

    /// One more user of a set.
    ///
    /// - Returns: The set's number; 0, which is the defaults, when all numbers are taken.
    mutating func take(
        _ metrics: DestinationMetrics, in slab: DestinationSlab, _ quiescence: Quiescence
    )
        -> UInt16
    {
        guard metrics != DestinationMetrics() else { return 0 }
        if var use = uses[metrics] {
            use.count += 1
            uses[metrics] = use
            return use.number
        }
        guard let number = takeNumber(quiescence) else { return 0 }
        slab.write(metrics, at: number)
        uses[metrics] = Use(number: number, count: 1)
        return number
    }

    /// One user of a set less; its number is used again when no batch can still know it.
    mutating func give(_ number: UInt16, in slab: DestinationSlab, _ quiescence: Quiescence) {
        guard number != 0 else { return }
        let metrics = slab.metrics(at: number)
        guard var use = uses[metrics] else { return }
        use.count -= 1
        guard use.count == 0 else {
            uses[metrics] = use
            return
        }
        uses[metrics] = nil
        resting.append((number, quiescence.retire()))
    }

    private mutating func takeNumber(_ quiescence: Quiescence) -> UInt16? {
        if free.isEmpty {
            let passed = resting.prefix { quiescence.hasPassed($0.epoch) }.count
            free.append(contentsOf: resting.prefix(passed).map(\.number))
            resting.removeFirst(passed)
        }
        if let number = free.popLast() { return number }
        guard fresh < Self.limit else { return nil }
        defer { fresh += 1 }
        return UInt16(fresh)
    }
}
