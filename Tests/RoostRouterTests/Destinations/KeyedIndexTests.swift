import TestSupport
import Testing

@testable import RoostRouter

@Suite("The keyed index")
struct KeyedIndexTests {
    /// Messages of 20 bytes and keys in hexadecimal with OpenSSL 3.0.19's answers (`openssl mac SIPHASH`);
    /// the first is also the paper's own vector for a message of 20 bytes.
    @Test("SipHash equals OpenSSL's, with the paper's rounds and with the tables'")
    func hash() {
        let counting = SipHashKey(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)
        let message = (
            UInt64(0x0706_0504_0302_0100), UInt64(0x0f0e_0d0c_0b0a_0908), UInt32(0x1312_1110)
        )
        let paper = counting.hash(
            message.0, message.1, message.2, compressions: 2, finalizations: 4)
        #expect(paper == 0xbed6_5cf2_1aa2_ee98)
        #expect(counting.hash(message.0, message.1, message.2) == 0xc0dc_2f46_a6cc_e040)
        #expect(SipHashKey(low: 0, high: 0).hash(0, 0, 0) == 0x24de_1cc7_95c4_00b0)
        #expect(
            SipHashKey(low: .max, high: .max).hash(.max, .max, .max) == 0x48c7_9210_99d6_6320)
        let letters = SipHashKey(low: 0x6745_2301_efbe_adde, high: 0xeeff_c000_efcd_ab89)
        #expect(
            letters.hash(0x6867_6665_6463_6261, 0x706f_6e6d_6c6b_6a69, 0x7473_7271)
                == 0x4ded_cebd_767a_8150)
    }

    @Test("the key differs from table to table")
    func randomKey() {
        #expect(SipHashKey.random().low != SipHashKey.random().low)
    }

    @Test(
        "any sequence of insertions and removals leaves what a dictionary has",
        arguments: [UInt64(1), 2, 3, 4], [1, 40, 3000])
    func model(seed: UInt64, limit: Int) throws {
        var random = SeededRandom(seed: seed)
        let index = try KeyedIndex(limit: limit, key: SipHashKey(low: seed, high: 7))
        var model: [IndexKey: UInt32] = [:]
        for _ in 0..<20_000 {
            // Few enough keys that most are met again, half of them alike in all but one part.
            let number = UInt64.random(in: 0..<UInt64(limit + limit / 2 + 2), using: &random)
            let key = IndexKey(
                scope: UInt32(number % 3), high: number % 2 == 0 ? number : 0, low: number)
            if Bool.random(using: &random) {
                let handle = UInt32.random(in: 1...9, using: &random)
                let expected: KeyedIndex.Insertion =
                    if let old = model[key] {
                        .replaced(old)
                    } else if model.count == limit {
                        .full
                    } else {
                        .inserted
                    }
                #expect(index.insert(key, handle: handle) == expected)
                if expected != .full { model[key] = handle }
            } else {
                #expect(index.remove(key) == model.removeValue(forKey: key) ?? 0)
            }
            #expect(index.find(key) == model[key] ?? 0)
            #expect(index.count == model.count)
        }
        for (key, handle) in model {
            #expect(index.find(key) == handle)
        }
    }

    @Test(
        "a table filled to its limit refuses nothing before, and each key is found",
        arguments: [
            1, 5, 319, 320, 321, 100_000,
        ])
    func full(limit: Int) throws {
        let index = try KeyedIndex(limit: limit, key: SipHashKey(low: 1, high: 2))
        var refused = 0
        for number in 0..<limit {
            let key = IndexKey(scope: 1, high: 0, low: UInt64(number))
            if index.insert(key, handle: UInt32(number + 1)) != .inserted { refused += 1 }
        }
        #expect(refused == 0)
        #expect(index.insert(IndexKey(scope: 2, high: 0, low: 0), handle: 1) == .full)
        let wrong = (0..<limit).count {
            index.find(IndexKey(scope: 1, high: 0, low: UInt64($0))) != UInt32($0 + 1)
        }
        #expect(wrong == 0)
    }

    @Test("a table takes buckets as it needs them")
    func growth() throws {
        let index = try KeyedIndex(limit: 1 << 20)
        #expect(index.bucketCount == 64)
        for number in 0..<1000 {
            _ = index.insert(IndexKey(scope: 0, high: 0, low: UInt64(number)), handle: 1)
        }
        #expect(index.bucketCount == 200)
    }

    @Test("removed keys give their place to others for ever")
    func churn() throws {
        let index = try KeyedIndex(limit: 100)
        for number in 0..<10_000 {
            let key = IndexKey(scope: 0, high: 0, low: UInt64(number))
            #expect(index.insert(key, handle: 5) == .inserted)
            if number >= 99 {
                let old = IndexKey(scope: 0, high: 0, low: UInt64(number - 99))
                #expect(index.remove(old) == 5)
            }
        }
        #expect(index.count == 99)
    }
}
