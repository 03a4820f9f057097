@testable import RoostRouter
import Testing

@Suite("Stacked destination entries")
struct StackedDestinationTests {
    /// A cached entry stacked on another.
    private func parent(
        of child: DestinationHandle, in table: inout DestinationTable
    ) -> DestinationHandle? {
        var operations = RecordedOperations()
        let handle = table.allocate(
            .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
        guard table.stack(handle, on: child, now: 0) else { return nil }
        table.finish(handle, as: Lab.contents())
        return handle
    }

    @Test("NET-9: a child of its parent's own that nobody holds is destroyed in the same pass")
    func ownChildGoesToo() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let child = table.makeEntry(Lab.contents(flags: .isParentOwned, neighbour: 7))
        let parent = try #require(parent(of: child, in: &table))
        table.retire(parent, now: clock.now)
        clock.now = table.nextWake ?? 0
        let lines = table.run(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == [parent, child])
        #expect(operations.destroyed.last?.neighbour.rawValue == 7)
        // A chain is one entry freed, as the classic trace counts.
        #expect(lines.map(\.freed) == [1])
        #expect(table.count == 0)
    }

    @Test("NET-9: a child in a table of its own loses a reference and nothing else")
    func cachedChildStays() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let child = table.makeEntry()
        let word = table.slab.word(of: child)
        let parent = try #require(parent(of: child, in: &table))
        #expect(table.slab.referenceCount(of: child) == 1)
        table.retire(parent, now: clock.now)
        table.settle(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == [parent])
        #expect(table.state(of: child) == .cached)
        #expect(table.slab.word(of: child) == word)
        #expect(table.slab.referenceCount(of: child) == 0)
    }

    @Test("NET-9: a child that another owner still has is left to that owner, as garbage once")
    func heldChildIsLeft() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let child = table.makeEntry(Lab.contents(flags: .isParentOwned))
        let parent = try #require(parent(of: child, in: &table))
        let holder = try table.take(child, kind: .session, owner: 5)
        table.retire(parent, now: clock.now)
        clock.now = table.nextWake ?? 0
        let lines = table.run(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == [parent])
        #expect(lines.map(\.delayed) == [1])
        #expect(table.state(of: child) == .waiting)
        #expect(table.account(of: Lab.tenant).retired == 1)
        table.retire(child, now: clock.now)
        #expect(table.garbageCount == 0)
        table.give(holder)
        table.settle(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == [parent, child])
    }

    @Test("NET-9: a child of two parents goes with the last of them, and once")
    func twoParents() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let child = table.makeEntry(Lab.contents(flags: .isParentOwned))
        let first = try #require(parent(of: child, in: &table))
        let second = try #require(parent(of: child, in: &table))
        table.retire(first, now: clock.now)
        table.settle(clock, &operations)
        #expect(table.state(of: child) == .waiting)
        table.retire(second, now: clock.now)
        table.settle(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == [first, second, child])
        #expect(table.count == 0 && table.waitingCount == 0)
    }

    @Test("NET-9: a child retired by its owner before its parent is destroyed once, after it")
    func childRetiredFirst() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let child = table.makeEntry(Lab.contents(flags: .isParentOwned))
        let parent = try #require(parent(of: child, in: &table))
        table.retire(child, now: clock.now)
        table.retire(parent, now: clock.now)
        table.settle(clock, &operations)
        #expect(
            operations.destroyed.map(\.handle).sorted { $0.rawValue < $1.rawValue } == [
                child, parent,
            ])
        #expect(table.count == 0)
    }

    @Test("NET-9: a chain of the parent's own goes down to the first that is not")
    func chain() throws {
        var table = try Lab.table()
        var operations = RecordedOperations()
        let clock = ManualClock()
        let route = table.makeEntry()
        var top = route
        var chain: [DestinationHandle] = []
        for _ in 0..<DestinationTable.depthLimit {
            let handle = table.allocate(
                .ipv4, namespace: Lab.tenant, now: 0, operations: &operations)
            let isStacked = table.stack(handle, on: top, now: 0)
            #expect(isStacked)
            table.finish(handle, as: Lab.contents(flags: .isParentOwned))
            chain.insert(handle, at: 0)
            top = handle
        }
        let tooDeep = parent(of: top, in: &table)
        #expect(tooDeep == nil)
        table.retire(top, now: clock.now)
        table.settle(clock, &operations)
        #expect(operations.destroyed.map(\.handle) == chain)
        #expect(table.state(of: route) == .cached)
    }
}
