import Foundation
import RoostMemory
import RoostSystem
import SystemPackage
import Testing

@testable import RoostHypervisor

@Suite("Domains of the embedded hypervisor")
struct EmbeddedDomainTests {
    let machine: TestHypervisor

    init() throws {
        machine = try TestHypervisor()
    }

    @Test("domains are numbered from 1 up, and no number is given again at once")
    func numbers() async throws {
        let first = try machine.domain()
        let second = try machine.domain()
        #expect([first.id.rawValue, second.id.rawValue] == [1, 2])
        second.disconnect()
        let third = try machine.domain()
        #expect(third.id.rawValue == 3)
    }

    @Test("a domain finds its own folder in the store, owns it, and is announced")
    func folder() async throws {
        let watcher = try machine.domain("watcher")
        let watch = try await watcher.store.watch(StorePath("@introduceDomain"))
        var events = watch.makeAsyncIterator()
        _ = await events.next()
        let domain = try machine.domain("web1")
        let told = await events.next()
        #expect(told?.text == "@introduceDomain")
        let store = domain.store
        #expect(try await store.readString(StorePath("domid")) == "\(domain.id)")
        #expect(try await store.readString(StorePath("name")) == "web1")
        let folder = try StorePath("/local/domain/\(domain.id)")
        #expect(try await store.permissions(of: folder, in: nil).owner == domain.id)
        try await store.writeString("1", to: StorePath("device/vbd/51712/state"))
        let path = try StorePath("\(folder)/device/vbd/51712/state")
        let error = await #expect(throws: HypervisorError.self) {
            _ = try await watcher.store.read(path, in: nil)
        }
        #expect(error?.kind == .store && error?.errno == .permissionDenied)
    }

    @Test("a domain's end is announced to ordinary domains, and takes its watches and rights")
    func release() async throws {
        let watcher = try machine.domain("watcher")
        let watch = try await watcher.store.watch(StorePath("@releaseDomain"))
        var events = watch.makeAsyncIterator()
        _ = await events.next()
        let domain = try machine.domain("guest")
        let path = try StorePath("/local/domain/\(domain.id)/key")
        try await domain.store.setPermissions(
            StorePermissions(owner: domain.id, others: .read), of: StorePath("name"), in: nil)
        try await domain.store.writeString("secret", to: path)
        domain.disconnect()
        let told = await events.next()
        #expect(told?.text == "@releaseDomain")
        let error = await #expect(throws: HypervisorError.self) {
            _ = try await watcher.store.read(path, in: nil)
        }
        #expect(error?.errno == .permissionDenied, "what is left of it answers EACCES")
    }

    @Test("a number comes back only to the user that had it, when nobody has it")
    func succession() async throws {
        let peer = try machine.domain("peer")
        let first = try machine.domain("backend")
        let id = first.id
        let taken = failureKind { _ = try machine.domain("other", succeeding: id) }
        #expect(taken == .system, "somebody has it")
        let never = failureKind {
            _ = try machine.domain("other", succeeding: DomainID(rawValue: 400))
        }
        #expect(never == .system, "nobody ever had it")
        let reserved = failureKind {
            _ = try machine.domain("other", succeeding: .firstReserved)
        }
        #expect(reserved == .system)

        var grants = try peer.makeAllocator(for: id, pageLimit: 1)
        let page = try grants.claim(.readWrite)
        grants.window.fill(page: 0, with: 4)
        let channel = try peer.allocateUnbound(for: id)
        let bound = try first.bind(to: peer.id, port: channel.port)
        try channel.notify()
        first.disconnect()
        var successor: EmbeddedDomain?
        _ = await eventually {
            successor = try? machine.domain("backend", succeeding: id)
            return successor != nil
        }
        let second = try #require(successor)
        #expect(second.id == id)
        // The same grants and the same port are open to it.
        var mapper = try second.makeMapper(of: peer.id)
        let window = try PageWindow(pageCount: 1)
        _ = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        #expect(window.isFilled(page: 0, with: 4))
        let again = try second.bind(to: peer.id, port: channel.port)
        try channel.notify()
        #expect(becomesReadable(again.descriptor))
        #expect(try await second.store.readString(StorePath("domid")) == "\(id)")
        _ = bound.port
    }

    @Test("a successor's grants have other references than its predecessor's")
    func referencesAreNotReused() async throws {
        let peer = try machine.domain("peer")
        let first = try machine.domain("guest")
        let id = first.id
        var allocator = try first.makeAllocator(for: peer.id, pageLimit: 10)
        let old = try allocator.claim(.readWrite)
        first.disconnect()
        var successor: EmbeddedDomain?
        _ = await eventually {
            successor = try? machine.domain("guest", succeeding: id)
            return successor != nil
        }
        var next = try #require(successor).makeAllocator(for: peer.id, pageLimit: 10)
        let new = try next.claim(.readWrite)
        #expect(new.reference.rawValue >= old.reference.rawValue + 10)
    }

    @Test("each domain has a bounded number of segments and of granted pages")
    func grantQuotas() throws {
        let peer = try machine.domain("peer")
        let domain = try machine.domain("greedy")
        let tooLong = failureKind {
            _ = try domain.makeAllocator(
                for: peer.id, pageLimit: HypervisorLimits.segmentPageCount + 1)
        }
        #expect(tooLong == .noGrants)
        var large: [AllocatorBox] = []
        let whole = HypervisorLimits.grantedPageCount / HypervisorLimits.segmentPageCount
        for _ in 0..<whole {
            large.append(
                AllocatorBox(
                    try domain.makeAllocator(
                        for: peer.id, pageLimit: HypervisorLimits.segmentPageCount)))
        }
        let tooMany = failureKind { _ = try domain.makeAllocator(for: peer.id, pageLimit: 1) }
        #expect(tooMany == .noGrants)
        large.removeAll()
        var small: [AllocatorBox] = []
        for _ in 0..<HypervisorLimits.segmentCount {
            small.append(AllocatorBox(try domain.makeAllocator(for: peer.id, pageLimit: 1)))
        }
        let oneMore = failureKind { _ = try domain.makeAllocator(for: peer.id, pageLimit: 1) }
        #expect(oneMore == .noGrants)
        // The neighbour is not touched by it.
        _ = try peer.makeAllocator(for: domain.id, pageLimit: 1)
    }

    // MARK: Loss

    @Test("when the hypervisor ends its domains know at once, and mapped memory stays memory")
    func loss() async throws {
        let guest = try machine.domain("guest")
        let backend = try machine.domain("backend")
        var allocator = try guest.makeAllocator(for: backend.id, pageLimit: 2)
        let page = try allocator.claim(.readWrite)
        allocator.window.fill(page: page.page, with: 8)
        var mapper = try backend.makeMapper(of: guest.id)
        let window = try PageWindow(pageCount: 1)
        let mapping = try mapper.map([page.reference], .readWrite, into: window, at: 0)
        let channel = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: channel.port)
        #expect(!guest.isLost && !isReadable(guest.lossDescriptor))
        let (called, continuation) = AsyncStream<Void>.makeStream()
        backend.onLoss { continuation.finish() }
        async let waited: Void = guest.waitUntilLost()

        machine.hypervisor.stop()
        await waited
        for await _ in called {}
        #expect(guest.isLost && backend.isLost)
        #expect(becomesReadable(guest.lossDescriptor))
        #expect(window.isFilled(page: 0, with: 8))
        window.fill(page: 0, with: 9)
        let arrived = allocator.window.isFilled(page: page.page, with: 9)
        #expect(arrived)
        try mapper.unmap(mapping)
        let released = allocator.release(page)
        #expect(released, "the table is shared memory and needs nobody")

        let kinds = [
            failureKind { try channel.notify() },
            failureKind { try bound.notify() },
            failureKind { _ = try guest.makeAllocator(for: backend.id, pageLimit: 1) },
            failureKind { _ = try backend.makeMapper(of: guest.id) },
            failureKind { _ = try guest.allocateUnbound(for: backend.id) },
            failureKind { _ = try backend.bind(to: guest.id, port: channel.port) },
            failureKind { _ = try machine.domain() },
        ]
        #expect(kinds == [HypervisorError.Kind](repeating: .lost, count: 7))
        let storeError = await #expect(throws: HypervisorError.self) {
            _ = try await guest.store.read(StorePath("name"), in: nil)
        }
        #expect(storeError?.kind == .lost)
    }

    @Test("a loss that has happened is told to who asks later; a cancelled wait ends")
    func lateAndCancelled() async throws {
        let domain = try machine.domain()
        let waiting = Task { await domain.waitUntilLost() }
        waiting.cancel()
        await waiting.value
        #expect(!domain.isLost)
        machine.hypervisor.stop()
        await domain.waitUntilLost()
        await domain.waitUntilLost()
        let (called, continuation) = AsyncStream<Void>.makeStream()
        domain.onLoss { continuation.finish() }
        for await _ in called {}
    }

    @Test("a hypervisor that starts where one ended serves; beside a living one it does not")
    func restart() throws {
        let second = failureKind {
            _ = try EmbeddedHypervisor(directory: machine.directory)
        }
        #expect(second == .system)
        _ = try machine.domain()
        machine.hypervisor.stop()
        let next = try EmbeddedHypervisor(directory: machine.directory)
        let domain = try machine.domain()
        #expect(domain.id.rawValue == 1)
        next.stop()
        #expect(!FileManager.default.fileExists(atPath: machine.location.socketPath))
        #expect(!FileManager.default.fileExists(atPath: machine.location.storePath))
    }

    @Test("the sockets are for their owner alone")
    func modes() throws {
        for path in [machine.location.socketPath, machine.location.storePath] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test("where the hypervisor is, by the environment")
    func locations() throws {
        let named = try HypervisorLocation.standard(
            environment: ["ROOST_SOCKET": "/x/y/sock", "XDG_RUNTIME_DIR": "/run/user/7"],
            isRoot: true)
        #expect(named.socketPath == "/x/y/sock" && named.storePath == "/x/y/xenstore")
        let root = try HypervisorLocation.standard(environment: [:], isRoot: true)
        #expect(root.socketPath == "/run/roost/hypervisor")
        let user = try HypervisorLocation.standard(
            environment: ["XDG_RUNTIME_DIR": "/run/user/7"], isRoot: false)
        #expect(user.socketPath == "/run/user/7/roost/hypervisor")
        #expect(throws: HypervisorError.self) {
            _ = try HypervisorLocation.standard(environment: [:], isRoot: false)
        }
        #expect(throws: HypervisorError.self) {
            _ = try HypervisorLocation(directory: String(repeating: "x", count: 120))
        }
    }
}

/// An allocator in an array.
final class AllocatorBox {
    let allocator: EmbeddedGrantAllocator

    init(_ allocator: consuming EmbeddedGrantAllocator) {
        self.allocator = allocator
    }
}
