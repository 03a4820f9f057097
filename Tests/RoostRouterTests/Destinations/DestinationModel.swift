import RoostMemory
import TestSupport

@testable import RoostRouter

/// The table of destinations beside a model that knows what may be so.
///
/// It goes through random interleavings of everything that the table's users do. Each entry's neighbour
/// is its number, by which its end is seen.
struct DestinationModel: ~Copyable {
    struct Entry {
        let number: UInt32
        let handle: DestinationHandle
        var tokens: [HolderToken] = []
        var isRetired = false
        var isPrivate = true
        var child: UInt32?
    }

    var table: DestinationTable
    var operations = RecordedOperations()
    let clock = ManualClock()
    let quiescence: Quiescence
    let reader: QuiescenceReader
    fileprivate var entries: [UInt32: Entry] = [:]
    private var random: SeededRandom
    private var isReading = false
    private var lastNumber: UInt32 = 0
    private var seenDestroyed = 0
    private let findings = Findings()
    /// What was found to be wrong.
    var failures: [String] { findings.failures }

    init(seed: UInt64) throws {
        let quiescence = try Quiescence(readerLimit: 1)
        let reader = try quiescence.makeReader()
        let table = try Lab.table(
            { limits in
                limits.entryCount = 96
                limits.holderCount = 96
                limits.sliceEntryCount = 3
                limits.ipv4 = DestinationLimits.Family(threshold: 64, ceiling: 90)
            }, quiescence: quiescence)
        self.table = table
        self.quiescence = quiescence
        self.reader = reader
        random = SeededRandom(seed: seed)
    }

    /// Does one random thing and looks at everything.
    mutating func step() {
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<6: make()
        case 6..<10: hold()
        case 10..<14: release()
        case 14..<17: retire()
        case 17: toggleReader()
        case 18: portEvent()
        case 19: if Int.random(in: 0..<8, using: &random) == 0 { namespaceEvent() }
        default: collect()
        }
        noteDestroyed()
        check()
    }

    private mutating func make() {
        let namespace = Bool.random(using: &random) ? Lab.tenant : Lab.neighbourTenant
        let handle = table.allocate(
            .ipv4, namespace: namespace, now: clock.now, operations: &operations)
        noteDestroyed()
        guard !handle.isNone else { return }
        lastNumber += 1
        var entry = Entry(number: lastNumber, handle: handle)
        let below = entries.values.filter {
            table.state(of: $0.handle) == .cached
        }.sorted { $0.number < $1.number }.randomElement(using: &random)
        if let below, Int.random(in: 0..<3, using: &random) == 0,
            table.stack(handle, on: below.handle, now: clock.now)
        {
            entry.child = below.number
        }
        if Int.random(in: 0..<8, using: &random) > 0 {
            let ports = [Lab.port, Lab.otherPort, Lab.foreignPort]
            let isOwned = Int.random(in: 0..<3, using: &random) == 0
            table.finish(
                handle,
                as: Lab.contents(
                    through: ports[Int.random(in: 0..<3, using: &random)],
                    flags: isOwned ? .isParentOwned : [], neighbour: lastNumber))
            entry.isPrivate = false
        }
        entries[lastNumber] = entry
    }

    private mutating func anyEntry(_ isWanted: (Entry) -> Bool) -> Entry? {
        entries.values.filter(isWanted).sorted { $0.number < $1.number }
            .randomElement(using: &random)
    }

    private mutating func hold() {
        // Who finds it in a table, or holds it already.
        let kinds = HolderKind.allCases
        guard
            let entry = anyEntry({ !$0.isRetired || !$0.tokens.isEmpty }),
            table.state(of: entry.handle) == .cached || !entry.tokens.isEmpty,
            let reference = table.slab.hold(
                entry.handle, kind: kinds[Int.random(in: 0..<kinds.count, using: &random)],
                owner: UInt64(entry.number), now: clock.now)
        else { return }
        entries[entry.number]?.tokens.append(reference.token())
    }

    private mutating func release() {
        guard let entry = anyEntry({ !$0.tokens.isEmpty }) else { return }
        let index = Int.random(in: 0..<entry.tokens.count, using: &random)
        table.give(entry.tokens[index])
        entries[entry.number]?.tokens.remove(at: index)
    }

    private mutating func retire() {
        guard let entry = anyEntry({ _ in true }) else { return }
        retire(entry.number)
    }

    private mutating func retire(_ number: UInt32) {
        guard let entry = entries[number] else { return }
        let state = table.state(of: entry.handle)
        table.retire(entry.handle, now: clock.now)
        entries[number]?.isRetired = true
        guard state == .cached || state == .private else { return }
        // However far the schedule was pushed back, the next pass is near.
        guard let wake = table.nextWake, wake <= clock.now + 100 else {
            findings.failures.append(
                "a retired entry waits until \(String(describing: table.nextWake))")
            return
        }
    }

    private mutating func toggleReader() {
        if isReading { quiescence.end(reader) } else { quiescence.begin(reader) }
        isReading.toggle()
    }

    private mutating func portEvent() {
        let port = [Lab.port, Lab.otherPort, Lab.foreignPort][Int.random(in: 0..<3, using: &random)]
        switch Int.random(in: 0..<4, using: &random) {
        case 0: table.portWentDown(port, now: clock.now)
        case 1: table.portRemoved(port, now: clock.now)
        default:
            table.portCameUp(port)
            let namespace = port == Lab.foreignPort ? Lab.neighbourTenant : Lab.tenant
            // It may be there still; then nothing happens.
            try? table.addPort(port, namespace: namespace)
        }
    }

    private mutating func namespaceEvent() {
        table.namespaceRemoved(Lab.neighbourTenant, now: clock.now)
        if !table.hasGone(Lab.neighbourTenant) { return }
        try? table.addNamespace(Lab.neighbourTenant, loopback: Lab.otherLoopback)
    }

    private mutating func collect() {
        clock.now += UInt64.random(in: 0..<400, using: &random)
        for _ in 0..<Int.random(in: 1..<20, using: &random) {
            _ = table.collect(clock: clock, operations: &operations)
        }
    }

    /// Strikes out the entries whose end was reported.
    private mutating func noteDestroyed() {
        for remains in operations.destroyed[seenDestroyed...] {
            let handle = remains.handle
            guard let entry = entries.values.first(where: { $0.handle == handle }) else {
                findings.failures.append("\(handle) was destroyed twice, or never made")
                continue
            }
            if !entry.isPrivate && remains.neighbour.rawValue != entry.number {
                findings.failures.append("\(handle) is \(remains.neighbour), not \(entry.number)")
            }
            if !entry.tokens.isEmpty {
                findings.failures.append("\(handle) was destroyed while held")
            }
            if entries.values.contains(where: { $0.child == entry.number }) {
                findings.failures.append("\(handle) was destroyed under its parent")
            }
            entries[entry.number] = nil
        }
        seenDestroyed = operations.destroyed.count
    }

    /// Lets go of everything and runs until nothing is left to do.
    mutating func finish() {
        if isReading { toggleReader() }
        for number in entries.keys.sorted() {
            for token in entries[number]?.tokens ?? [] { table.give(token) }
            entries[number]?.tokens = []
        }
        for number in entries.keys.sorted() { retire(number) }
        for _ in 0..<12 {
            table.settle(clock, &operations)
            noteDestroyed()
        }
        check()
    }
}

extension DestinationModel {
    /// Holds the table against the model.
    private func check() {
        let snapshots = table.entries(limit: 1000)
        findings.expect(
            snapshots.count == entries.count, "there are \(snapshots.count) of \(entries.count)")
        findings.expect(table.count == snapshots.count, "the table counts \(table.count)")
        var garbage = 0
        var waiting = 0
        for snapshot in snapshots {
            if snapshot.state == .garbage { garbage += 1 }
            if snapshot.state == .waiting { waiting += 1 }
            check(snapshot)
        }
        findings.expect(
            table.garbageCount == garbage, "garbage \(table.garbageCount), not \(garbage)")
        findings.expect(
            table.waitingCount == waiting, "waiting \(table.waitingCount), not \(waiting)")
        checkAccounts(snapshots)
        checkLists(snapshots)
    }

    private func check(_ snapshot: EntrySnapshot) {
        let handle = snapshot.id.handle
        guard let entry = entries.values.first(where: { $0.handle == handle }) else { return }
        let parents = entries.values.count { $0.child == entry.number }
        let count = entry.tokens.count + parents
        findings.expect(
            snapshot.referenceCount == count, "\(handle): \(snapshot.referenceCount) != \(count)")
        let isDead = snapshot.word.flags.contains(.isDead)
        switch snapshot.state {
        case .free: findings.expect(false, "\(handle) is free and listed")
        case .private:
            findings.expect(!isDead && snapshot.word.isDiscarding, "\(handle) is not harmless")
        case .cached: findings.expect(!isDead && !entry.isRetired, "\(handle) is cached and dead")
        case .garbage, .waiting:
            findings.expect(isDead, "\(handle) is \(snapshot.state) and not dead")
            let isUp = table.ports[Int(snapshot.word.port.rawValue)].state == .up
            findings.expect(
                isUp || snapshot.word.isDiscarding || !table.events.isEmpty,
                "\(handle) sends through a port that is down")
        }
        if snapshot.state != .private, table.hasGone(snapshot.word.port) {
            findings.expect(false, "\(handle) refers to a port that is gone")
        }
    }

    private func checkAccounts(_ snapshots: [EntrySnapshot]) {
        for namespace in [Lab.tenant, Lab.neighbourTenant] {
            let own = snapshots.filter { $0.word.namespace == namespace && !$0.isOrphan }
            let account = table.account(of: namespace)
            findings.expect(
                account.entries == own.count, "\(namespace) has \(own.count): \(account)")
            let retired = own.count { $0.state == .garbage || $0.state == .waiting }
            findings.expect(
                account.retired == retired, "\(namespace) retired \(retired): \(account)")
        }
        // A namespace that nothing was ever moved out of accounts for each of its entries.
        let account = table.account(of: Lab.tenant)
        findings.expect(
            account.entries == Int(account.created) - Int(account.destroyed),
            "live is not created less destroyed: \(account)")
        let orphans = snapshots.count(where: \.isOrphan)
        findings.expect(table.orphanAccount.entries == orphans, "\(orphans) orphans")
    }

    private func checkLists(_ snapshots: [EntrySnapshot]) {
        for port in [
            .blackhole, Lab.loopback, Lab.otherLoopback, Lab.port, Lab.otherPort, Lab.foreignPort,
        ] {
            var listed: Set<DestinationHandle> = []
            table.forEachEntry(of: port) { listed.insert($0) }
            let wanted = Set(snapshots.filter { $0.word.port == port }.map(\.id.handle))
            findings.expect(listed == wanted, "\(port) lists \(listed), not \(wanted)")
        }
        let held = entries.values.reduce(0) { $0 + $1.tokens.count + ($1.child == nil ? 0 : 1) }
        let listed = table.slab.holders(limit: 1000).count
        findings.expect(listed == held, "\(listed) holders are listed of \(held)")
    }
}

/// What was found to be wrong; apart from the model, so that it can be told while the model is read.
private final class Findings {
    var failures: [String] = []

    func expect(_ condition: Bool, _ failure: @autoclosure () -> String) {
        if !condition { failures.append(failure()) }
    }
}
