@testable import RoostRouter
import Testing

@Suite("Holders of destination entries")
struct HolderTests {
    @Test(
        "NET-17: every counted reference is listed by kind, age and holder",
        arguments: HolderKind.allCases)
    func listed(kind: HolderKind) throws {
        var table = try Lab.table()
        let handle = table.makeEntry()
        let reference = table.slab.hold(handle, kind: kind, owner: .max - 1, now: 400)?.token()
        let token = try #require(reference)
        let holder = try #require(table.slab.holders(limit: 9).first)
        #expect(holder.handle == handle && holder.kind == kind && holder.owner == .max - 1)
        #expect(holder.age(at: 1000) == 600)
        #expect(holder.age(at: 0) == 0)
        table.give(token)
        #expect(table.slab.holders(limit: 9).isEmpty)
    }

    @Test("NET-17: a child is listed as held by the entry stacked on it")
    func childIsListed() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let child = table.makeEntry()
        let parent = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 3, operations: &operations)
        let isStacked = table.stack(parent, on: child, now: 3)
        #expect(isStacked)
        let expected = DestinationHolder(
            handle: child, kind: .child, owner: UInt64(parent.rawValue), since: 3)
        #expect(table.slab.holders(limit: 9) == [expected])
    }

    @Test(
        "NET-17: the list is bounded, and so are the holders; one too many is refused and counted")
    func bounded() throws {
        var table = try Lab.table { $0.holderCount = 3 }
        let handle = table.makeEntry()
        var tokens: [HolderToken] = []
        for owner in 0..<3 as Range<UInt64> {
            tokens.append(try table.take(handle, kind: .route, owner: owner))
        }
        let refused = table.slab.hold(handle, kind: .route, owner: 3, now: 0)?.token()
        #expect(refused == nil)
        #expect(table.slab.refusedHoldCount == 1)
        #expect(table.slab.referenceCount(of: handle) == 3)
        #expect(table.slab.holders(limit: 2).count == 2)
        #expect(table.slab.holders(limit: 9) { $0.owner == 1 }.count == 1)
        table.give(tokens[1])
        let again = table.slab.hold(handle, kind: .control, owner: 7, now: 0)?.token()
        #expect(again != nil)
        #expect(Set(table.slab.holders(limit: 9).map(\.owner)) == [0, 2, 7])
    }
}
