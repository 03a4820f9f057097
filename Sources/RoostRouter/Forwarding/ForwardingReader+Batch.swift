internal import RoostMemory

/// Lookups of many addresses.
extension ForwardingReader {
    /// The path groups of some addresses, as their numbers.
    ///
    /// - Parameters:
    ///   - addresses: What to look up.
    ///   - namespace: In whose routes.
    ///   - results: Where to write what each finds, 0 for no route.
    /// - Precondition: There are at least as many results as addresses.
    public func lookup(
        _ addresses: Span<IPv4Address>, in namespace: NamespaceIndex,
        into results: inout MutableSpan<UInt16>
    ) {
        findAll(addresses, in: namespace, into: &results)
    }

    /// The path groups of some addresses, as their numbers.
    ///
    /// - Parameters:
    ///   - addresses: What to look up.
    ///   - namespace: In whose routes.
    ///   - results: Where to write what each finds, 0 for no route.
    /// - Precondition: There are at least as many results as addresses.
    public func lookup(
        _ addresses: Span<IPv6Address>, in namespace: NamespaceIndex,
        into results: inout MutableSpan<UInt16>
    ) {
        findAll(addresses, in: namespace, into: &results)
    }

    @inline(__always)  // Each family's batch is one loop.
    private func findAll<Address: TrieAddress>(
        _ addresses: Span<Address>, in namespace: NamespaceIndex,
        into results: inout MutableSpan<UInt16>
    ) {
        precondition(results.count >= addresses.count)
        let rootIndex = Int(namespace.rawValue) &* TrieWord.rootStride &+ Address.rootOffset
        let root = roots.acquire(rootIndex)
        let everywhere = UInt16(truncatingIfNeeded: roots.acquire(rootIndex &+ 1))
        if countsBits {
            findAll(
                addresses, from: root, else: everywhere, into: &results,
                by: ProcessorBitCounter.self)
        } else {
            findAll(
                addresses, from: root, else: everywhere, into: &results,
                by: PortableBitCounter.self)
        }
    }

    @inline(__always)
    private func findAll<Address: TrieAddress, Counter: BitCounter>(
        _ addresses: Span<Address>, from root: UInt32, else everywhere: UInt16,
        into results: inout MutableSpan<UInt16>, by counter: Counter.Type
    ) {
        var start = 0
        while start &+ Self.stride <= addresses.count {
            // All loads of a kind are under way before anything waits for one of them.
            var slots = InlineArray<32, UInt32>(repeating: 0)
            var runs = InlineArray<32, UInt64>(repeating: 0)
            for index in 0..<Self.stride {
                let (first, _) = addresses[start &+ index].split(at: root & TrieWord.orderMask)
                // SAFETY: a root names a direct part of 2^order words.
                slots[index] = unsafe words.acquireUnchecked(
                    Int(root & ~TrieWord.orderMask) &+ first)
            }
            for index in 0..<Self.stride {
                // Most slots of large tables lead to leaves; for others word 0 is read in vain.
                let slot = slots[index]
                let block = TrieWord.isLeafBlock(slot) ? slot & TrieWord.indexMask : 0
                // SAFETY: a slot that readers can find names a block that was written before it.
                runs[index] = unsafe leafWords.unchecked(Int(block))
            }
            for index in 0..<Self.stride {
                let slot = slots[index]
                let (_, rest) = addresses[start &+ index].split(at: root & TrieWord.orderMask)
                var value = UInt16(truncatingIfNeeded: slot)
                if TrieWord.isLeafBlock(slot) {
                    let block = Int(slot & TrieWord.indexMask)
                    value = leaf(rest, runs: runs[index], inBlock: block, by: counter)
                } else if slot & TrieWord.nodeFlag != 0 {
                    value = descend(rest, from: slot, by: counter)
                }
                results[start &+ index] = value != 0 ? value : everywhere
            }
            start &+= Self.stride
        }
        while start < addresses.count {
            let value = find(addresses[start], from: root, by: counter)
            results[start] = value != 0 ? value : everywhere
            start &+= 1
        }
    }

    /// How many addresses are looked up together.
    ///
    /// More than a processor has loads under way.
    private static var stride: Int { 32 }
}
