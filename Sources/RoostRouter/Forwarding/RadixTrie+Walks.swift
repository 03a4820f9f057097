extension RadixTrie {
    /// The node of exactly this prefix, with or without a value.
    func node(of prefix: Prefix<Address>) -> UInt32? {
        let index = topmost(under: prefix)
        return index.flatMap { Int(nodes[Int($0)].length) == prefix.length ? $0 : nil }
    }

    /// The highest node whose addresses all lie in a prefix.
    func topmost(under prefix: Prefix<Address>) -> UInt32? {
        var index: UInt32 = 0
        while Int(nodes[Int(index)].length) < prefix.length {
            index = nodes[Int(index)].child(prefix.address.bit(Int(nodes[Int(index)].length)))
            guard index != 0 else { return nil }
        }
        // Bits that the path skipped are compared here, once.
        return prefix.contains(nodes[Int(index)].address) ? index : nil
    }

    /// The longest prefix with a value that an address lies in.
    func longestMatch(_ address: Address) -> (prefix: Prefix<Address>, value: Value)? {
        longest(containing: Prefix(address, length: Address.bitWidth), below: Address.bitWidth + 1)
    }

    /// The longest prefix with a value that contains another, longer one.
    func covering(_ prefix: Prefix<Address>) -> (prefix: Prefix<Address>, value: Value)? {
        longest(containing: prefix, below: prefix.length)
    }

    private func longest(
        containing prefix: Prefix<Address>, below limit: Int
    ) -> (prefix: Prefix<Address>, value: Value)? {
        var found: (Prefix<Address>, Value)?
        walk(to: prefix, below: limit) { found = ($0, $1) }
        return found
    }

    /// Visits the prefixes with a value that contain one, the shortest first.
    ///
    /// - Parameters:
    ///   - prefix: What they contain; itself too.
    ///   - limit: Only those with fewer bits.
    ///   - body: Is given each.
    func walk(
        to prefix: Prefix<Address>, below limit: Int,
        _ body: (Prefix<Address>, Value) -> Void
    ) {
        var index: UInt32 = 0
        repeat {
            let node = nodes[Int(index)]
            guard Int(node.length) < limit, Int(node.length) <= prefix.length,
                node.address.commonBitCount(with: prefix.address) >= Int(node.length)
            else { return }
            if let value = node.value { body(node.prefix, value) }
            guard Int(node.length) < prefix.length else { return }
            index = node.child(prefix.address.bit(Int(node.length)))
        } while index != 0
    }

    /// Visits the prefixes with a value under one, itself too: by address, shorter ones first.
    ///
    /// - Parameters:
    ///   - prefix: What contains them.
    ///   - body: Answers whether to go on.
    /// - Returns: Whether all were visited.
    @discardableResult
    func forEach(
        under prefix: Prefix<Address>, _ body: (Prefix<Address>, Value) -> Bool
    ) -> Bool {
        guard let top = topmost(under: prefix) else { return true }
        var stack = [top]
        while let index = stack.popLast() {
            let node = nodes[Int(index)]
            if let value = node.value, !body(node.prefix, value) { return false }
            if node.right != 0 { stack.append(node.right) }
            if node.left != 0 { stack.append(node.left) }
        }
        return true
    }
}
