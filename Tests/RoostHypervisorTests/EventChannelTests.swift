import Foundation
import RoostMemory
import SystemPackage
import Testing

@testable import RoostHypervisor

@Suite("Event channels of the embedded hypervisor")
struct EventChannelTests {
    let machine: TestHypervisor
    let guest: EmbeddedDomain
    let backend: EmbeddedDomain

    init() throws {
        machine = try TestHypervisor()
        guest = try machine.domain("guest")
        backend = try machine.domain("backend")
    }

    @Test("who binds has an event pending at once; who made the channel has none")
    func eventAtBind() throws {
        var made = try guest.allocateUnbound(for: backend.id)
        var bound = try backend.bind(to: guest.id, port: made.port)
        let pending = (isReadable(bound.descriptor), isReadable(made.descriptor))
        #expect(pending == (true, false))
        let taken = (bound.takePending(), made.takePending())
        #expect(taken == (true, false))
    }

    @Test("an event goes each way, and only where it was sent")
    func bothWays() throws {
        var made = try guest.allocateUnbound(for: backend.id)
        var bound = try backend.bind(to: guest.id, port: made.port)
        let first = bound.takePending()
        bound.unmask()
        #expect(first)
        try made.notify()
        let there = (isReadable(bound.descriptor), isReadable(made.descriptor))
        #expect(there == (true, false))
        let taken = bound.takePending()
        bound.unmask()
        #expect(taken)
        try bound.notify()
        let back = (isReadable(bound.descriptor), made.takePending())
        #expect(back == (false, true))
    }

    @Test("several events before one is taken are one")
    func folding() throws {
        var made = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: made.port)
        for _ in 0..<5 { try bound.notify() }
        let first = made.takePending()
        made.unmask()
        let second = made.takePending()
        #expect(first && !second)
    }

    @Test("a masked channel is silent, and what came meanwhile shows once it is unmasked")
    func masking() throws {
        var made = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: made.port)
        try bound.notify()
        let first = made.takePending()
        #expect(first)
        try bound.notify()
        let masked = (made.descriptor.rawValue < 0, made.takePending())
        #expect(masked == (true, false))
        made.unmask()
        let shown = isReadable(made.descriptor)
        let second = made.takePending()
        #expect(shown && second)
        made.unmask()
        let third = made.takePending()
        #expect(!third)
    }

    @Test("notifying through a channel that nobody has bound fails")
    func unbound() throws {
        let made = try guest.allocateUnbound(for: backend.id)
        let kind = failureKind { try made.notify() }
        #expect(kind == .eventChannel)
    }

    @Test("only the domain that a channel was made for binds to it, and only once")
    func binding() throws {
        let third = try machine.domain("third")
        let made = try guest.allocateUnbound(for: backend.id)
        let byStranger = failureKind { _ = try third.bind(to: guest.id, port: made.port) }
        #expect(byStranger == .eventChannel)
        let bound = try backend.bind(to: guest.id, port: made.port)
        let twice = failureKind { _ = try backend.bind(to: guest.id, port: made.port) }
        #expect(twice == .eventChannel)
        let wrong = EventPort(rawValue: made.port.rawValue + 500)
        let toNothing = failureKind { _ = try backend.bind(to: guest.id, port: wrong) }
        #expect(toNothing == .eventChannel)
        let toNobody = failureKind {
            _ = try backend.bind(to: DomainID(rawValue: 999), port: made.port)
        }
        #expect(toNobody == .eventChannel)
        try bound.notify()
    }

    @Test("when one end closes the other falls back to unbound, and the peer binds again")
    func rebind() throws {
        var made = try guest.allocateUnbound(for: backend.id)
        do {
            let bound = try backend.bind(to: guest.id, port: made.port)
            try made.notify()
            try bound.notify()
        }
        let closed = made.takePending()
        made.unmask()
        #expect(closed)
        // The request that follows on the same connection is answered after the close.
        var again = try backend.bind(to: guest.id, port: made.port)
        let atBind = again.takePending()
        again.unmask()
        #expect(atBind)
        try made.notify()
        let arrived = again.takePending()
        #expect(arrived)
        try again.notify()
        let back = made.takePending()
        #expect(back)
    }

    @Test("when the domain that made a channel goes, the one that bound keeps a port to bind to")
    func rebindFromTheOtherSide() async throws {
        let made = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: made.port)
        let id = guest.id
        guest.disconnect()
        let isNoticed = await eventually { failureKind { try bound.notify() } == .eventChannel }
        #expect(isNoticed)
        var successor: EmbeddedDomain?
        _ = await eventually {
            successor = try? machine.domain("guest", succeeding: id)
            return successor != nil
        }
        let again = try #require(successor)
        #expect(again.id == id)
        let rebound = try again.bind(to: backend.id, port: bound.port)
        try bound.notify()
        let arrived = becomesReadable(rebound.descriptor)
        #expect(arrived)
        try rebound.notify()
    }

    @Test("a thread that waits in poll is woken by the peer's event", .timeLimit(.minutes(1)))
    func waking() async throws {
        let made = try guest.allocateUnbound(for: backend.id)
        let bound = try backend.bind(to: guest.id, port: made.port)
        async let woken = withCheckedContinuation { continuation in
            let descriptor = made.descriptor
            Thread.detachNewThread {
                continuation.resume(returning: becomesReadable(descriptor))
            }
        }
        try bound.notify()
        let isWoken = await woken
        #expect(isWoken)
    }

    @Test("a domain has a bounded number of ports, and gets them back")
    func quota() throws {
        let limit = HypervisorLimits.portCount
        func fill() throws -> Int {
            var ports: [PortBox] = []
            while true {
                do {
                    ports.append(PortBox(try guest.allocateUnbound(for: backend.id)))
                } catch {
                    #expect(error.kind == .eventChannel && error.errno == .noSpace)
                    return ports.count
                }
            }
        }
        #expect(try fill() == limit)
        #expect(try fill() == limit)
        _ = try backend.allocateUnbound(for: guest.id)
    }
}

/// A channel in an array.
final class PortBox {
    let channel: EmbeddedEventChannel

    init(_ channel: consuming EmbeddedEventChannel) {
        self.channel = channel
    }
}
