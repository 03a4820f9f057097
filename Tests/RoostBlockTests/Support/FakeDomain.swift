import RoostHypervisor
import RoostMemory
import Synchronization
import SystemPackage

@testable import RoostBlock

/// A guest's memory and its grants, without a hypervisor: what a mapper maps is decided here.
final class FakeDomain: Sendable {
    struct Grant {
        var page: Int
        var access: GrantAccess
    }

    struct State {
        var grants: [UInt32: Grant] = [:]
        /// How often each grant is mapped now.
        var mapped: [UInt32: Int] = [:]
        var mapCalls = 0
        var unmapCalls = 0
        var copyCalls = 0
        /// Which call of `map` and `copy` together fails, counted from 0; none if negative.
        var failingCall = -1
        /// Whether `unmap` fails.
        var refusesUnmap = false
        /// Is called when grants are about to be mapped or copied.
        var beforeMap: (@Sendable ([UInt32]) -> Void)?
        /// Is called when grants were unmapped.
        var afterUnmap: (@Sendable () -> Void)?
    }

    let file: MemoryFile
    /// The guest's own view of its memory.
    let window: PageWindow
    let state = Mutex(State())

    init(pageCount: Int) throws {
        file = try MemoryFile.make(name: "guest", byteCount: pageCount * pageByteCount)
        window = try PageWindow(pageCount: pageCount)
        try window.map(file.descriptor, filePage: 0, count: pageCount, at: 0, isWritable: true)
    }

    func grant(_ reference: UInt32, page: Int, _ access: GrantAccess = .readWrite) {
        state.withLock { $0.grants[reference] = Grant(page: page, access: access) }
    }

    func revoke(_ reference: UInt32) {
        state.withLock { $0.grants[reference] = nil }
    }

    /// How many mappings of grants there are.
    var mappedCount: Int { state.withLock { $0.mapped.values.reduce(0, +) } }

    func mappedCount(of reference: UInt32) -> Int { state.withLock { $0.mapped[reference] ?? 0 } }

    fileprivate func isFailing(_ state: inout State, _ references: [UInt32]) -> Bool {
        state.mapCalls + state.copyCalls == state.failingCall
    }
}

struct FakeMapper: GrantMapper, ~Copyable {
    let domain: FakeDomain
    private var live: [UInt32: (GrantMapping, [UInt32])] = [:]
    private var nextHandle: UInt32 = 1
    private(set) var mappedCount = 0

    init(_ domain: FakeDomain) {
        self.domain = domain
    }

    mutating func map(
        _ references: Span<GrantReference>, _ access: GrantAccess, into window: PageWindow,
        at page: Int
    ) throws(HypervisorError) -> GrantMapping {
        let wanted = references.indices.map { references[$0].rawValue }
        domain.state.withLock { $0.beforeMap }?(wanted)
        let pages = domain.state.withLock { state -> [FakeDomain.Grant]? in
            defer { state.mapCalls += 1 }
            guard !domain.isFailing(&state, wanted) else { return nil }
            let found = wanted.compactMap { state.grants[$0] }
            guard found.count == wanted.count,
                access == .readOnly || found.allSatisfy({ $0.access == .readWrite })
            else { return nil }
            for reference in wanted { state.mapped[reference, default: 0] += 1 }
            return found
        }
        guard let pages else {
            throw HypervisorError(.grant, "cannot map a grant: the test says so")
        }
        do {
            for (index, grant) in pages.enumerated() {
                try window.map(
                    domain.file.descriptor, filePage: grant.page, count: 1, at: page + index,
                    isWritable: access == .readWrite)
            }
        } catch {
            throw HypervisorError(.system, "\(error)")
        }
        let mapping = GrantMapping(
            handle: nextHandle, page: Int32(page), count: Int32(wanted.count))
        live[nextHandle] = (mapping, wanted)
        nextHandle += 1
        mappedCount += wanted.count
        self.window = window
        return mapping
    }

    private var window: PageWindow?

    mutating func unmap(_ mapping: GrantMapping) throws(HypervisorError) {
        guard let (known, references) = live[mapping.handle], known == mapping,
            !domain.state.withLock({ $0.refusesUnmap })
        else { throw HypervisorError(.grant, "there is no such mapping") }
        live[mapping.handle] = nil
        mappedCount -= references.count
        domain.state.withLock { state in
            state.unmapCalls += 1
            for reference in references { state.mapped[reference, default: 0] -= 1 }
        }
        do {
            try window?.unmap(count: references.count, at: Int(mapping.page))
        } catch {
            throw HypervisorError(.system, "\(error)")
        }
        domain.state.withLock { $0.afterUnmap }?()
    }

    mutating func copy(
        _ copies: Span<GrantCopy>, window: PageWindow, failures: inout MutableSpan<Bool>
    ) -> Bool {
        precondition(failures.count == copies.count)
        let wanted = copies.indices.map { copies[$0].reference.rawValue }
        domain.state.withLock { $0.beforeMap }?(wanted)
        let isFailing = domain.state.withLock { state in
            defer { state.copyCalls += 1 }
            return domain.isFailing(&state, wanted)
        }
        var isComplete = true
        for index in copies.indices {
            let copy = copies[index]
            let grant = domain.state.withLock { $0.grants[copy.reference.rawValue] }
            guard !isFailing, let grant,
                copy.direction == .fromGrant || grant.access == .readWrite,
                Int(copy.pageOffset) + Int(copy.byteCount) <= pageByteCount
            else {
                failures[index] = true
                isComplete = false
                continue
            }
            failures[index] = false
            let offset = grant.page * pageByteCount + Int(copy.pageOffset)
            if copy.direction == .fromGrant {
                window.copy(
                    count: Int(copy.byteCount), from: domain.window, at: offset,
                    to: copy.windowOffset)
            } else {
                domain.window.copy(
                    count: Int(copy.byteCount), from: window, at: copy.windowOffset, to: offset)
            }
        }
        return isComplete
    }
}

/// A channel between a test and a queue; each end has a pipe that wakes the other.
struct FakeChannel: EventChannel, ~Copyable {
    /// What both ends share.
    final class Wire: Sendable {
        /// The thread sanitizer sees these; it does not see a Mutex.
        let isPending = Atomic<Bool>(false)
        let isPeerGone = Atomic<Bool>(false)
        let notifyCount = Atomic<Int>(0)
        let unmaskCount = Atomic<Int>(0)

        let readEnd: FileDescriptor
        let writeEnd: FileDescriptor

        init() throws {
            (readEnd, writeEnd) = try FileDescriptor.pipe()
        }

        /// Tells the queue to look.
        func ring() throws {
            let wasPending = isPending.exchange(true, ordering: .acquiringAndReleasing)
            if !wasPending { _ = try writeEnd.writeAll([1]) }
        }

        deinit {
            try? readEnd.close()
            try? writeEnd.close()
        }
    }

    let wire: Wire
    private var isMasked = false
    var port: EventPort { EventPort(rawValue: 1) }

    init(_ wire: Wire) {
        self.wire = wire
    }

    var descriptor: FileDescriptor {
        isMasked ? FileDescriptor(rawValue: -1) : wire.readEnd
    }

    func notify() throws(HypervisorError) {
        wire.notifyCount.wrappingAdd(1, ordering: .relaxed)
        let isGone = wire.isPeerGone.load(ordering: .relaxed)
        if isGone { throw HypervisorError(.eventChannel, "there is no peer any more") }
    }

    mutating func takePending() -> Bool {
        guard wire.isPending.exchange(false, ordering: .acquiringAndReleasing) else { return false }
        wire.readEnd.takeByte()
        isMasked = true
        return true
    }

    mutating func unmask() {
        isMasked = false
        wire.unmaskCount.wrappingAdd(1, ordering: .relaxed)
    }
}
