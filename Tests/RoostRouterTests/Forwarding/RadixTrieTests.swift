import TestSupport
import Testing

@testable import RoostRouter

@Suite("Radix trie")
struct RadixTrieTests {
    @Test(
        "NET-13: the trie of IPv4 answers as a plain list does",
        arguments: 1...8 as ClosedRange<UInt64>)
    func ipv4(seed: UInt64) {
        check(IPv4Address.self, seed: seed)
    }

    @Test(
        "NET-13: the trie of IPv6 answers as a plain list does",
        arguments: 1...8 as ClosedRange<UInt64>)
    func ipv6(seed: UInt64) {
        check(IPv6Address.self, seed: seed)
    }

    private func check<Address: SampledAddress>(_ family: Address.Type, seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var trie = RadixTrie<Address, UInt32>()
        var list: [Prefix<Address>: UInt32] = [:]
        for step in 0..<400 as Range<UInt32> {
            // Growing, then shrinking.
            let removes = Int.random(in: 0..<400, using: &random) < step
            if removes, let gone = list.keys.randomElement(using: &random) {
                #expect(trie.remove(gone) == list.removeValue(forKey: gone))
                #expect(trie.remove(gone) == nil)
            } else {
                let prefix = Address.samplePrefix(&random)
                #expect(trie.set(step, at: prefix) == list.updateValue(step, forKey: prefix))
            }
            #expect(trie.count == list.count)
            #expect(trie.byteCount <= (2 * 400 + 1) * 48)
            compare(trie, list, at: Address.samplePrefix(&random))
        }
    }

    private func compare<Address: SampledAddress>(
        _ trie: RadixTrie<Address, UInt32>, _ list: [Prefix<Address>: UInt32],
        at prefix: Prefix<Address>
    ) {
        #expect(trie.value(at: prefix) == list[prefix])
        let longest = list.keys.filter { $0.contains(prefix.address) }.max { $0.length < $1.length }
        #expect(trie.longestMatch(prefix.address)?.prefix == longest)
        let covering = list.keys.filter { $0.contains(prefix) && $0.length < prefix.length }
        #expect(trie.covering(prefix)?.prefix == covering.max { $0.length < $1.length })
        var visited: [Prefix<Address>] = []
        trie.forEach(under: prefix) { found, value in
            #expect(list[found] == value)
            visited.append(found)
            return true
        }
        let expected = list.keys.filter { prefix.contains($0) }.sorted {
            ($0.address, $0.length) < ($1.address, $1.length)
        }
        #expect(visited == expected)
    }
}
