import Foundation
import RoostHost
import RoostRouter
import Testing

/// How a trace's records are told.
@Suite struct NetworkTraceTests {
    private static let sources = ("192.0.2.2", "198.51.100.9")

    /// A packet of IPv4 from port 40000 to port 80.
    private static func headers(_ change: (inout PacketHeaders) -> Void = { _ in }) -> PacketHeaders
    {
        var headers = PacketHeaders()
        headers.etherType = 0x0800
        headers.source = IPAddress(sources.0)
        headers.destination = IPAddress(sources.1)
        headers.protocolNumber = 6
        headers.ports = PacketHeaders.Ports(source: 40_000, destination: 80)
        change(&headers)
        return headers
    }

    private func record(_ headers: PacketHeaders) throws -> NetworkTraceRecord {
        var packet = PacketTrace(
            namespace: "red", port: "left", byteCount: 74, decision: "forward")
        packet.headers = headers
        packet.outPort = "right"
        let record = TraceRecord(sequence: 7, time: .milliseconds(1500), event: .packet(packet))
        let batch = TraceBatch(records: [record], next: 7, lostCount: 0, time: .seconds(2))
        // Half a second before 2026-11-30 16:45:12 UTC.
        return try #require(NetworkTraceBatch(batch, at: 1_796_057_112).records.first)
    }

    @Test func `a record has its time of day beside the seconds`() throws {
        let told = try record(Self.headers())
        #expect(told.time == "2026-11-30T16:45:11.500Z")
        #expect(told.seconds == 1.5)
        #expect(told.secondsSince1970 == 1_796_057_111.5)
    }

    static let lines: [(headers: PacketHeaders, line: String)] = [
        (headers(), "192.0.2.2:40000 > 198.51.100.9:80 tcp"),
        (
            headers { headers in
                headers.protocolNumber = 17
                headers.source = IPAddress("2001:db8::2")
                headers.destination = IPAddress("2001:db8::9")
            }, "[2001:db8::2]:40000 > [2001:db8::9]:80 udp"
        ),
        (
            headers { headers in
                headers.protocolNumber = 1
                headers.ports = nil
                headers.icmp = PacketHeaders.ICMP(
                    type: 8, code: 0, text: "echo request, id 7, seq 1")
            }, "192.0.2.2 > 198.51.100.9 icmp echo request, id 7, seq 1"
        ),
        (
            headers { headers in
                headers.protocolNumber = 89
                headers.ports = nil
                headers.vlan = 5
            }, "vlan 5 192.0.2.2 > 198.51.100.9 ospf"
        ),
        (
            headers { headers in
                headers.ports = nil
                headers.fragment = PacketHeaders.Fragment(
                    identification: 77, byteOffset: 1480, isLast: true)
            }, "192.0.2.2 > 198.51.100.9 tcp fragment 77 at 1480, last"
        ),
        (
            headers { headers in
                headers.etherType = 0x0806
                headers.protocolNumber = nil
                headers.ports = nil
                headers.arp = .request
            }, "192.0.2.2 > 198.51.100.9 arp request"
        ),
        (PacketHeaders(), "unreadable"),
    ]

    @Test(arguments: lines.indices)
    func `a packet's line names its protocol, ends and ports`(_ index: Int) throws {
        let told = try record(Self.lines[index].headers)
        #expect(told.line == "red left \(Self.lines[index].line), 74 bytes: forward to right")
    }

    @Test func `a record passes through JSON as it was, keys as all documents have`() throws {
        let told = try record(
            Self.headers {
                $0.fragment = PacketHeaders.Fragment(
                    identification: 1, byteOffset: 0, isLast: false)
            })
        let bytes = try JSONEncoder().encode(told)
        #expect(try JSONDecoder().decode(NetworkTraceRecord.self, from: bytes) == told)
        let json = try JSONSerialization.jsonObject(with: bytes) as? [String: Any]
        let packet = try #require(json?["packet"] as? [String: Any])
        #expect(packet["protocol"] as? String == "tcp")
        #expect(packet["protocolNumber"] as? Int == 6)
        #expect(packet["sourcePort"] as? Int == 40_000)
        #expect(packet["destinationPort"] as? Int == 80)
        #expect((packet["fragment"] as? [String: Any])?["isLast"] as? Bool == false)
    }
}
