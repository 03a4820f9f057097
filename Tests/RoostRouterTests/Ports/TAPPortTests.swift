@testable import RoostMemory
@testable import RoostRouter
import Glibc
import RoostSystem
import SystemPackage
import Testing

/// Refusals that need no privileges.
@Suite("TAP options")
struct TAPOptionTests {
    @Test(
        "a name that no interface can have is refused before anything is opened",
        arguments: [
            "", "sixteen-letters!", "a/b", "a b", "a:b", ".", "..", "a\n",
        ])
    func names(name: String) {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPInterface.open(TAPOptions(interface: name), device: "/dev/null")
        }
        #expect(error?.kind == .invalidValue)
    }

    @Test("an MTU outside the driver's limits is refused", arguments: [-1, 0, 67, 65_522])
    func lengths(mtu: Int) {
        var options = TAPOptions(interface: "x")
        options.mtu = mtu
        let error = #expect(throws: RouterError.self) {
            _ = try TAPInterface.open(options, device: "/dev/null")
        }
        #expect(error?.kind == .invalidValue)
    }

    @Test("a system without the clone device says so")
    func noDevice() {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPInterface.open(
                TAPOptions(interface: "x"), device: "/nonexistent/net/tun")
        }
        #expect(error?.kind == .port)
        #expect(error?.description.contains("/nonexistent/net/tun") == true)
        #expect(error?.description.contains("modprobe tun") == true)
    }

    @Test("a network namespace that is not there is said to be so")
    func noNamespace() {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPInterface.open(
                TAPOptions(interface: "x", networkNamespace: "no-such-namespace"))
        }
        #expect(error?.kind == .notFound)
        #expect(error?.description.contains("/run/netns/no-such-namespace") == true)
    }

    @Test("a file that is no network namespace is said to be so")
    func wrongNamespace() {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPInterface.open(TAPOptions(interface: "x", networkNamespace: "/dev/null"))
        }
        #expect(error?.kind == .invalidValue)
    }
}

@Suite(
    "TAP ports",
    .enabled(
        if: NetworkNamespace.isPossible,
        "needs root, /dev/net/tun and ip: network namespaces are made"))
struct TAPPortTests {
    private func open(
        _ interface: String, in namespace: NetworkNamespace, bringsUp: Bool = true, mtu: Int = 1_500
    ) throws -> TAPPort {
        var options = TAPOptions(interface: interface, networkNamespace: namespace.name)
        options.bringsUp = bringsUp
        options.mtu = mtu
        return try TAPInterface.open(options)
    }

    /// An ARP request for 10.9.0.2 from 10.9.0.1 (RFC 826), as the kernel takes it.
    private static let request: [UInt8] =
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1, 0x08, 0x06]
        + [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2]

    /// Waits until a frame that is wanted has come; nil when none has for five seconds.
    private func receive(
        from port: TAPPort, where isWanted: ([UInt8]) -> Bool
    ) throws -> [UInt8]? {
        var batch = try FrameBatch()
        for _ in 0..<1_000 {
            batch.removeAll()
            guard port.receive(into: &batch, worker: 0) == .ready else { return nil }
            for slot in 0..<batch.count {
                let frame = batch.bytes(slot)
                if isWanted(frame) { return frame }
            }
            if batch.count == 0 { try #require(port.descriptor).waitUntilReadable(milliseconds: 5) }
        }
        return nil
    }

    @Test("NET-14: the kernel of another namespace answers what is sent, and the caller stays put")
    func exchange() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("roost%d", in: namespace)
        #expect(port.interface == "roost0")
        try await namespace.run("ip", "address", "add", "10.9.0.2/24", "dev", port.interface)
        var batch = try FrameBatch()
        #expect(batch.append(Self.request) == 0)
        #expect(port.transmit(batch.slots, of: batch, worker: 0) == .ready)
        #expect(port.counters.total(.sentFrames) == 1)
        let answer = try #require(
            try receive(from: port) { $0[12] == 0x08 && $0[13] == 0x06 && $0[21] == 2 })
        // The sender's hardware address of the answer is the one that was reported.
        let sender = answer[22..<28].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        #expect(MACAddress(rawValue: sender) == port.hostAddress)
        #expect(port.counters.total(.receivedFrames) >= 1)
        #expect(port.counters.total(.receivedBytes) >= 42)
        // The interface is not in the caller's namespace.
        #expect(unsafe if_nametoindex("roost0") == 0)
    }

    @Test("a name that is taken is said to be so, and the first interface lives on")
    func takenName() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("taken", in: namespace)
        let error = #expect(throws: RouterError.self) {
            _ = try open("taken", in: namespace)
        }
        #expect(error?.kind == .exists)
        try await namespace.run("ip", "link", "show", port.interface)
    }

    @Test("an interface of another kind keeps its name")
    func otherKind() async throws {
        let namespace = try await NetworkNamespace()
        let error = #expect(throws: RouterError.self) { _ = try open("lo", in: namespace) }
        #expect(error?.kind == .exists)
    }

    @Test("what is sent while the interface is down is dropped and counted, and works again after")
    func downAndUp() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace, bringsUp: false)
        var batch = try FrameBatch()
        #expect(batch.append(Self.request) == 0)
        #expect(port.transmit(batch.slots, of: batch, worker: 0) == .down)
        #expect(port.counters.total(.transmitDown) == 1)
        try await namespace.run("ip", "link", "set", "tap", "up")
        #expect(port.transmit(batch.slots, of: batch, worker: 0) == .ready)
    }

    @Test("an interface that is deleted is gone: both directions say so")
    func deletion() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace)
        try await namespace.run("ip", "link", "delete", "tap")
        var batch = try FrameBatch()
        #expect(port.receive(into: &batch, worker: 0) == .gone)
        #expect(batch.append(Self.request) == 0)
        #expect(port.transmit(batch.slots, of: batch, worker: 0) == .gone)
        #expect(port.counters.total(.transmitDown) == 1)
    }

    @Test("the interface ends with the port")
    func end() async throws {
        let namespace = try await NetworkNamespace()
        var port: TAPPort? = try open("tap", in: namespace)
        #expect(port?.interface == "tap")
        port = nil
        // A TAP interface that is not persistent goes with its last descriptor.
        #expect(try await namespace.run("ip", "link", "show", "tap", isRequired: false) != 0)
    }

    @Test(
        "the host's side gets the MTU, and longer frames are not sent",
        arguments: [68, 1_400, 9_000])
    func longFrames(mtu: Int) async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace, mtu: mtu)
        try await namespace.run(
            "sh", "-c", "ip link show tap | grep -q 'mtu \(mtu) '")
        var batch = try FrameBatch(frameLimit: mtu + 19)
        #expect(batch.appendSlot(byteCount: mtu + 18) == 0)
        #expect(batch.appendSlot(byteCount: mtu + 19) == 1)
        #expect(port.transmit(batch.slots, of: batch, worker: 0) == .ready)
        #expect(port.counters.total(.transmitTooLong) == 1)
        #expect(port.counters.total(.sentFrames) == 1)
    }

    @Test("a frame that is longer than the port's MTU allows is dropped whole, not cut")
    func receivedTooLong() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace, mtu: 200)
        try await namespace.run("ip", "link", "set", "tap", "mtu", "1000")
        try await namespace.run("ip", "address", "add", "10.9.0.2/24", "dev", "tap")
        try await namespace.run(
            "ip", "neigh", "add", "10.9.0.1", "lladdr", "02:00:00:00:00:01", "dev", "tap")
        _ = try await namespace.run(
            "ping", "-c", "1", "-W", "1", "-s", "500", "10.9.0.1", isRequired: false)
        let long = try receive(from: port) { frame in
            frame.count > 218 || port.counters.total(.receiveTooLong) > 0
        }
        #expect(port.counters.total(.receiveTooLong) == 1)
        #expect((long?.count ?? 0) <= 218)
    }

    @Test("without a carrier the kernel sends nothing")
    func carrier() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace)
        try port.setCarrier(false)
        try await namespace.run("sh", "-c", "ip link show tap | grep -q NO-CARRIER")
        try port.setCarrier(true)
        try await namespace.run("sh", "-c", "! ip link show tap | grep -q NO-CARRIER")
    }

    @Test("a poller sees a frame that has come")
    func polling() async throws {
        let namespace = try await NetworkNamespace()
        let port = try open("tap", in: namespace)
        try await namespace.run("ip", "address", "add", "10.9.0.2/24", "dev", "tap")
        let poller = try Poller.make()
        try poller.add(try #require(port.descriptor), .input, token: 7)
        _ = try await namespace.run("ping", "-c", "1", "-W", "1", "10.9.0.1", isRequired: false)
        let found = poller.next()
        #expect(found?.token == 7)
        #expect(found?.ready.contains(.input) == true)
    }
}
