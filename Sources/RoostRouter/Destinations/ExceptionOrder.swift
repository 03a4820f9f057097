internal import RoostMemory

/// Exceptions in the order of their next hops, and of their addresses within one.
///
/// It answers "which is the next one of this next hop at or after this address", so that a change
/// of a route finds those it concerns without looking at others. A treap: a search tree kept level,
/// with logarithmic expectation, by priorities that nobody outside can know. Exceptions are
/// numbered from 1. One thread owns it.
struct ExceptionOrder: ~Copyable, Sendable {
    struct Node: BitwiseCopyable, Sendable {
        var key: IndexKey
        var priority: UInt64
        var left: UInt32
        var right: UInt32
    }

    /// A child's place: the field of the node that names it.
    private struct Hook {
        var node: UInt32
        var isLeft: Bool
    }

    /// Node 0 is above the root, which is its left child.
    private var nodes: FixedArray<Node>
    private var random = KeyedRandom()

    /// Makes an empty order.
    ///
    /// - Parameter limit: The greatest number of an exception.
    /// - Throws: `RouterError` of kind `memory`.
    init(limit: Int) throws(RouterError) {
        do {
            nodes = try FixedArray(count: limit + 1)
        } catch {
            throw RouterError(error, for: "the order of \(limit) exceptions")
        }
    }

    /// The key of an exception that is in the order.
    func key(of exception: UInt32) -> IndexKey { nodes[Int(exception)].key }

    /// Puts an exception in that is not there.
    mutating func insert(_ exception: UInt32, key: IndexKey) {
        let priority = random.next()
        var place = Hook(node: 0, isLeft: true)
        while case let child = child(place), child != 0, nodes[Int(child)].priority >= priority {
            place = Hook(node: child, isLeft: key < nodes[Int(child)].key)
        }
        var rest = child(place)
        nodes[Int(exception)] = Node(key: key, priority: priority, left: 0, right: 0)
        hang(exception, on: place)
        // What was there goes to the new node's two sides.
        var less = Hook(node: exception, isLeft: true)
        var greater = Hook(node: exception, isLeft: false)
        while rest != 0 {
            if nodes[Int(rest)].key < key {
                hang(rest, on: less)
                less = Hook(node: rest, isLeft: false)
                rest = nodes[Int(rest)].right
            } else {
                hang(rest, on: greater)
                greater = Hook(node: rest, isLeft: true)
                rest = nodes[Int(rest)].left
            }
        }
        hang(0, on: less)
        hang(0, on: greater)
    }

    /// Takes an exception out that is there.
    mutating func remove(_ exception: UInt32) {
        let key = nodes[Int(exception)].key
        var place = Hook(node: 0, isLeft: true)
        while case let child = child(place), child != exception {
            guard child != 0 else { return }
            place = Hook(node: child, isLeft: key < nodes[Int(child)].key)
        }
        var left = nodes[Int(exception)].left
        var right = nodes[Int(exception)].right
        while left != 0 && right != 0 {
            if nodes[Int(left)].priority >= nodes[Int(right)].priority {
                hang(left, on: place)
                place = Hook(node: left, isLeft: false)
                left = nodes[Int(left)].right
            } else {
                hang(right, on: place)
                place = Hook(node: right, isLeft: true)
                right = nodes[Int(right)].left
            }
        }
        hang(left | right, on: place)
    }

    /// The first exception whose key is not less than one, 0 when there is none.
    func first(notBelow key: IndexKey) -> UInt32 {
        var found: UInt32 = 0
        var node = nodes[0].left
        while node != 0 {
            if nodes[Int(node)].key < key {
                node = nodes[Int(node)].right
            } else {
                found = node
                node = nodes[Int(node)].left
            }
        }
        return found
    }

    private func child(_ hook: Hook) -> UInt32 {
        hook.isLeft ? nodes[Int(hook.node)].left : nodes[Int(hook.node)].right
    }

    private mutating func hang(_ node: UInt32, on hook: Hook) {
        if hook.isLeft {
            nodes[Int(hook.node)].left = node
        } else {
            nodes[Int(hook.node)].right = node
        }
    }
}

extension IndexKey: Comparable {
    /// By scope, then by address.
    static func < (left: IndexKey, right: IndexKey) -> Bool {
        (left.scope, left.high, left.low) < (right.scope, right.high, right.low)
    }
}
