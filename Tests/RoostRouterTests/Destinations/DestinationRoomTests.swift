@testable import RoostRouter
import Testing

@Suite("Room for destination entries")
struct DestinationRoomTests {
    private func smallTable() throws -> DestinationTable {
        try Lab.table { limits in
            limits.ipv4 = DestinationLimits.Family(threshold: 4, ceiling: 6)
            limits.ipv6 = DestinationLimits.Family(threshold: 4, ceiling: 6)
        }
    }

    @Test("NET-3: the family's operations collect only past the threshold, and a refusal is clean")
    func operationsDecide() throws {
        var table = try smallTable()
        var operations = RecordedOperations(refusal: false)
        for _ in 0..<5 {
            let handle = table.allocate(
                .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
            #expect(!handle.isNone)
        }
        #expect(operations.collections.isEmpty)
        let refused = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
        #expect(refused.isNone && operations.collections == [.ipv4])
        let account = table.account(of: Lab.tenant)
        #expect(account.overflows == 1 && account.entries == 5 && account.created == 5)
        // The other family has its own threshold.
        let other = table.allocate(
            .ipv6, namespace: Lab.tenant, now: 0, operations: &operations)
        #expect(!other.isNone)
        #expect(table.count(of: .ipv4) == 5 && table.count(of: .ipv6) == 1)
    }

    @Test("NET-3: collecting frees what is free, and refuses when everything is in use")
    func shrink() throws {
        var table = try smallTable()
        var operations = RecordedOperations()
        let handles = (0..<6).map { _ in table.makeEntry(now: 10_000) }
        let refused = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 20_000, operations: &operations)
        #expect(refused.isNone)
        table.retire(handles[0], now: 20_000)
        table.retire(handles[1], now: 20_000)
        let handle = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 20_000, operations: &operations)
        #expect(!handle.isNone)
        #expect(operations.destroyed.count == 2 && table.count == 5)
        let named = table.account(of: Lab.tenant).namedValues
        #expect(named.map(\.name).contains("gc_goal_miss"))
        #expect(table.account(of: Lab.tenant).overflows == 1)
        #expect(table.account(of: Lab.tenant).missedGoals == 2)
    }

    @Test("NET-3: soon after a collection another is left out while there is room")
    func ignoredCollections() throws {
        var table = try smallTable()
        var operations = RecordedOperations()
        for _ in 0..<5 { _ = table.makeEntry() }
        let first = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 10_000, operations: &operations)
        table.retire(first, now: 10_000)
        table.settle(ManualClock(), &operations)
        let second = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 10_499, operations: &operations)
        #expect(!second.isNone)
        let account = table.account(of: Lab.tenant)
        #expect(account.collections == 2 && account.ignoredCollections == 1)
    }

    @Test("NET-3: the slab's own end refuses as cleanly, and frees places for others")
    func slabIsFull() throws {
        var table = try Lab.table { $0.entryCount = 2 }
        var operations = RecordedOperations()
        let first = table.makeEntry()
        _ = table.makeEntry()
        #expect(table.makeEntry().isNone)
        #expect(table.account(of: Lab.tenant).overflows == 1)
        table.retire(first, now: 1000)
        table.settle(ManualClock(), &operations)
        #expect(table.makeEntry() == first)
    }

    @Test("NET-3: a namespace that is not there gets no entry")
    func unknownNamespace() throws {
        var table = try Lab.table()
        #expect(table.makeEntry(in: NamespaceIndex(rawValue: 99)).isNone)
        #expect(table.count == 0)
    }

    @Test(
        "NET-3: bounds outside their ranges are refused",
        arguments: [(0, 1), (1, 0), (1 << 24 + 1, 1), (1, 1 << 24 + 1)])
    func badLimits(entryCount: Int, holderCount: Int) throws {
        #expect(throws: RouterError.self) {
            _ = try Lab.table { limits in
                limits.entryCount = entryCount
                limits.holderCount = holderCount
            }
        }
    }
}
