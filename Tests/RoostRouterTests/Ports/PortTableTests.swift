@testable import RoostRouter
import Testing
import TestSupport

@Suite("Ports")
struct PortTableTests {
    private let first = NamespaceIndex(rawValue: 1)
    private let second = NamespaceIndex(rawValue: 2)

    private func port(_ name: String, in namespace: NamespaceIndex) -> Port {
        Port(
            name: name, kind: .memory, namespace: namespace,
            mac: MACAddress(rawValue: 0x0200_0000_0001), mtu: 1_400)
    }

    @Test("a port is found by index and name, and workers read it in words")
    func adding() throws {
        var ports = try PortTable()
        let index = try ports.add(port("a", in: first))
        #expect(index != .blackhole)
        #expect(ports[index]?.name == "a")
        #expect(ports.index(named: "a", in: first) == index)
        #expect(ports.index(named: "a", in: second) == nil)
        let word = ports.view.word(index)
        #expect(word.exists && word.isUp && word.kind == .memory)
        #expect(word.mac == MACAddress(rawValue: 0x0200_0000_0001))
        #expect(ports.view.mtu(index) == 1_400)
        #expect(ports.view.namespace(index) == first)
    }

    @Test("NET-8: a name is one of its kind in its namespace alone")
    func names() throws {
        var ports = try PortTable()
        _ = try ports.add(port("a", in: first))
        _ = try ports.add(port("a", in: second))
        let error = #expect(throws: RouterError.self) { _ = try ports.add(port("a", in: first)) }
        #expect(error?.kind == .exists)
    }

    @Test("NET-7: a removed port's index is not used again before it is given back")
    func removal() throws {
        var ports = try PortTable()
        let index = try ports.add(port("a", in: first))
        #expect(ports.remove(index)?.name == "a")
        #expect(!ports.view.word(index).exists)
        let next = try ports.add(port("b", in: first))
        #expect(next != index)
        ports.reclaim(index)
        #expect(try ports.add(port("c", in: first)) == index)
        #expect(ports.remove(PortIndex(rawValue: 99)) == nil)
    }

    @Test("the blackhole can be neither removed nor set down")
    func blackhole() throws {
        var ports = try PortTable()
        #expect(ports.remove(.blackhole) == nil)
        #expect(ports.setUp(false, .blackhole) == false)
        #expect(ports.view.word(.blackhole).kind == .blackhole)
    }

    @Test("there are as many ports as the limit says")
    func limit() throws {
        var ports = try PortTable()
        for number in 1..<PortTable.limit {
            _ = try ports.add(port("p\(number)", in: NamespaceIndex(rawValue: UInt16(number))))
        }
        let error = #expect(throws: RouterError.self) { _ = try ports.add(port("x", in: first)) }
        #expect(error?.kind == .limit)
    }

    @Test(
        "a port that cannot be is refused",
        arguments: [
            ("", 1_500, "02:00:00:00:00:01"),
            (String(repeating: "x", count: 32), 1_500, "02:00:00:00:00:01"),
            ("a", 67, "02:00:00:00:00:01"), ("a", 9_217, "02:00:00:00:00:01"),
            ("a", 1_500, "03:00:00:00:00:01"), ("a", 1_500, "00:00:00:00:00:00"),
        ])
    func refusal(name: String, mtu: Int, mac: String) throws {
        var ports = try PortTable()
        let mac = try #require(MACAddress(mac))
        let error = #expect(throws: RouterError.self) {
            _ = try ports.add(
                Port(name: name, kind: .tap, namespace: first, mac: mac, mtu: mtu))
        }
        #expect(error?.kind == .invalidValue)
    }

    @Test("a random address is one station's and locally administered", arguments: [1, 2, 3, 4])
    func randomAddress(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let mac = MACAddress.randomLocal(using: &random)
            #expect(!mac.isMulticast)
            #expect(mac.rawValue >> 41 & 1 == 1)
            #expect(mac.rawValue >> 48 == 0)
        }
    }
}
