import Logging
import Synchronization
import Testing

@testable import RoostRouter

@Suite("What is found before a port is opened")
struct TAPExaminationTests {
    private func port(
        _ device: String, in namespace: String? = nil, mac: MACAddress? = nil
    ) -> PortConfiguration {
        var port = PortConfiguration(
            name: "left", kind: .tap(device: device, networkNamespace: namespace))
        port.mac = mac
        return port
    }

    @Test("without the clone device nothing can be opened")
    func cloneDevice() {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPExamination([port("tap0")], device: "/dev/roost-there-is-none")
        }
        #expect(error?.kind == .port)
        #expect(error?.description.contains("modprobe tun") == true)
    }

    @Test("rights that are missing are told, and refuse nothing")
    func rights() throws {
        let examination = try TAPExamination(
            [port("roost-none")], device: "/dev/null", capabilities: [])
        #expect(examination.notes.contains { $0.contains("CAP_NET_ADMIN") })
        #expect(!examination.notes.contains { $0.contains("CAP_SYS_ADMIN") })
        let all = try TAPExamination(
            [port("roost-none")], device: "/dev/null",
            capabilities: [.networkAdministration, .systemAdministration])
        #expect(all.notes.isEmpty)
    }

    @Test("a network namespace that is none is refused with its port and key")
    func namespaces() {
        let error = #expect(throws: RouterError.self) {
            _ = try TAPExamination([port("tap0", in: "roost-there-is-none")], device: "/dev/null")
        }
        #expect(error?.fault?.place == .port("left"))
        #expect(error?.fault?.key == "network-namespace")
        #expect(error?.description.contains("ip netns add roost-there-is-none") == true)
    }

    @Test(
        "a device of another kind, and one with the port's own address, are refused",
        .enabled(if: NetworkNamespace.isPossible, "network namespaces need root"))
    func devices() async throws {
        let namespace = try await NetworkNamespace()
        let kind = #expect(throws: RouterError.self) {
            _ = try TAPExamination([port("lo", in: namespace.name)])
        }
        #expect(kind?.fault?.key == "device")
        try await namespace.run("ip", "tuntap", "add", "tap0", "mode", "tap")
        try await namespace.run("ip", "link", "set", "tap0", "address", "02:00:00:00:00:07")
        let address = MACAddress(rawValue: 0x0200_0000_0007)
        let mac = #expect(throws: RouterError.self) {
            _ = try TAPExamination([port("tap0", in: namespace.name, mac: address)])
        }
        #expect(mac?.fault?.key == "mac")
        // Nothing was made or taken by looking.
        #expect(try TAPExamination([port("tap0", in: namespace.name)]).notes.isEmpty)
        #expect(try TAPExamination([port("other", in: namespace.name)]).notes.isEmpty)
        try await namespace.run("ip", "tuntap", "del", "tap0", "mode", "tap")
    }

    @Test("a start that is cancelled opens no port, and ends at its next part")
    func cancelled() throws {
        let logger = Logger(label: "router")
        let atOnce = #expect(throws: RouterError.self) {
            _ = try Router.start(RouterLayouts.twoLinks(), logger: logger) { true }
        }
        #expect(atOnce?.kind == .cancelled)
        // Tables are made of two ports, one namespace and one route; it is asked before each.
        for limit in 0..<4 {
            let asked = Atomic(0)
            let error = #expect(throws: RouterError.self) {
                _ = try Router.check(RouterLayouts.twoLinks()) {
                    asked.add(1, ordering: .relaxed).oldValue == limit
                }
            }
            #expect(error?.kind == .cancelled)
            #expect(asked.load(ordering: .relaxed) == limit + 1)
        }
    }
}
