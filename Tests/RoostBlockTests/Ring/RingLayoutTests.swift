import RoostHypervisor
import Testing

@testable import RoostBlock

@Suite("The layout of a ring")
struct RingLayoutTests {
    @Test(
        "BLK-12: sizes and counts of slots are those of the protocol",
        arguments: zip(0...4, [32, 64, 128, 256, 512]))
    func slotsAreThoseOfTheProtocol(order: Int, count: Int) throws {
        for (blockProtocol, length) in [(BlockProtocol.x86_64, 112), (.x86_32, 108)] {
            let layout = try #require(RingLayout(blockProtocol, pageOrder: order))
            #expect(layout.slotCount == count)
            #expect(layout.slotByteCount == length)
            #expect(layout.pageCount == 1 << order)
            #expect(layout.slotOffset(0) == 64)
            #expect(layout.slotOffset(UInt32(count)) == 64)
            #expect(layout.slotOffset(UInt32.max) == 64 + (count - 1) * length)
            #expect(layout.slotOffset(UInt32.max) + length <= layout.pageCount * 4096)
        }
    }

    @Test("A ring has from one to sixteen pages", arguments: [-1, 5, Int.max, Int.min])
    func otherOrdersAreRefused(order: Int) {
        #expect(RingLayout(.x86_64, pageOrder: order) == nil)
    }

    @Test("The shared indices lie where the protocol has them")
    func indicesLieWhereTheProtocolHasThem() {
        #expect(RingWord.requestProducer.rawValue == 0)
        #expect(RingWord.requestEvent.rawValue == 4)
        #expect(RingWord.responseProducer.rawValue == 8)
        #expect(RingWord.responseEvent.rawValue == 12)
    }

    @Test("A protocol is known by its name, Arm's as the 64-bit one")
    func protocolsAreKnownByName() {
        #expect(BlockProtocol(name: "x86_64-abi") == .x86_64)
        #expect(BlockProtocol(name: "arm-abi") == .x86_64)
        #expect(BlockProtocol(name: "x86_32-abi") == .x86_32)
        #expect(BlockProtocol(name: "x86_64") == nil)
        #expect(BlockProtocol.allCases.allSatisfy { BlockProtocol(name: $0.name) == $0 })
    }
}
