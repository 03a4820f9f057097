import CDiskPeers
import RoostMemory
import Workloads

/// How many grants there are: ring slots × 11; the cap of 2012-09; ring slots × 33; and those of
/// 16 such queues.
private let grantCounts = [352, 704, 1056, 16_896]
/// How many references a guest's table of 64 frames can have.
private let referenceCount = 32_768
private let lookUpCount = 1 << 15

/// The index of grants beside those of 2012: nanoseconds for each look-up.
func index() throws {
    head(["grants", "looked up", "array, ns", "red-black tree, ns", "Roost, ns", "Roost / tree"])
    for count in grantCounts {
        for isHot in [true, false] {
            let subject = try IndexSubject(grantCount: count, isHot: isHot)
            let spreads = try subject.measure()
            row(
                ["\(count)", isHot ? "the last freed" : "any"] + spreads.map { $0.text("%.1f") }
                    + [decimal(spreads[2].median / spreads[1].median)])
        }
    }
}

/// Three indices of the same references, and an order to look them up in.
@safe
private final class IndexSubject {
    private let array: OpaquePointer
    private let tree: OpaquePointer
    private let ours: GrantIndex
    private let order: [UInt32]

    init(grantCount: Int, isHot: Bool) throws {
        var random = SeededRandom(seed: UInt64(grantCount))
        // Grants come in the order in which the frontend first uses them, from anywhere.
        let references = Array((8..<UInt32(referenceCount)).shuffled(using: &random)[..<grantCount])
        guard let array = unsafe cdisk_array_make(Int32(grantCount)),
            let tree = unsafe cdisk_tree_make()
        else { throw Failure("there is no memory") }
        var ours = try GrantIndex.make(limit: grantCount, seed: random.next())
        for (value, reference) in references.enumerated() {
            unsafe cdisk_array_insert(array, reference, Int32(value))
            guard unsafe cdisk_tree_insert(tree, reference, Int32(value)) == 0 else {
                throw Failure("there is no memory")
            }
            ours.insert(reference, value)
        }
        guard unsafe cdisk_tree_check(tree) == grantCount else {
            throw Failure("the red-black tree is none")
        }
        unsafe self.array = array
        unsafe self.tree = tree
        self.ours = ours
        order =
            isHot
            ? Self.lastFreed(references, using: &random)
            : (0..<lookUpCount).map { _ in
                references[Int.random(in: 0..<grantCount, using: &random)]
            }
    }

    /// The references that a frontend names which keeps its free pages on a stack, with 32 requests
    /// of a page under way that end in any order.
    private static func lastFreed(
        _ references: [UInt32], using random: inout SeededRandom
    ) -> [UInt32] {
        var free = Array(references.reversed())
        var busy: [UInt32] = []
        var order: [UInt32] = []
        while order.count < lookUpCount {
            if busy.count == 32 {
                let place = Int.random(in: 0..<32, using: &random)
                busy.swapAt(place, 31)
                free.append(busy.removeLast())
            }
            let reference = free.removeLast()
            busy.append(reference)
            order.append(reference)
        }
        return order
    }

    /// Nanoseconds a look-up by turns: the array's, the tree's and Roost's.
    func measure() throws -> [Spread] {
        var times = [[Double]](repeating: [], count: 3)
        var sums: [Int64?] = [nil, nil, nil]
        for turn in 0..<41 {
            for step in 0..<3 {
                let side = (step + turn) % 3
                let begin = cdisk_now()
                let sum = pass(side)
                times[side].append(Double(cdisk_now() - begin) / Double(lookUpCount))
                sums[side] = sum
            }
        }
        guard sums[0] == sums[1], sums[1] == sums[2] else {
            throw Failure("the indices differ")
        }
        return times.map { Spread($0) }
    }

    private func pass(_ side: Int) -> Int64 {
        switch side {
        case 0:
            unsafe order.withUnsafeBufferPointer { order in
                guard let base = order.baseAddress else { return 0 }
                return unsafe cdisk_array_pass(array, base, Int32(order.count))
            }
        case 1:
            unsafe order.withUnsafeBufferPointer { order in
                guard let base = order.baseAddress else { return 0 }
                return unsafe cdisk_tree_pass(tree, base, Int32(order.count))
            }
        default: Self.pass(ours, order)
        }
    }

    private static func pass(_ index: borrowing GrantIndex, _ order: [UInt32]) -> Int64 {
        var sum: Int64 = 0
        for reference in order { sum &+= Int64(index.find(reference) ?? -1) }
        return sum
    }

    deinit {
        unsafe cdisk_array_free(array)
        unsafe cdisk_tree_free(tree)
    }
}
