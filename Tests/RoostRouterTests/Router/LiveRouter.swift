import Logging
import RoostMemory
import RoostSystem
import Testing

@testable import RoostRouter

/// A router on threads of its own, with a host behind each port; each host is one thread's at a time.
final class LiveRouter: Sendable {
    let router: Router
    private let hosts: [MemoryPort]

    /// Starts a router with a port in memory for each one of a configuration.
    init(_ configuration: RouterConfiguration) throws {
        try configuration.validate()
        var ports: [OpenPort] = []
        var hosts: [MemoryPort] = []
        for (number, namespace) in configuration.namespaces.enumerated() {
            for port in namespace.ports {
                let (mine, host) = try MemoryPort.pair(
                    workerCount: configuration.workerCount + 1, isWaitable: true)
                hosts.append(host)
                ports.append(
                    OpenPort(
                        configuration: port, namespace: NamespaceIndex(rawValue: UInt16(number)),
                        port: mine, kind: .memory, place: "memory",
                        mac: RouterRig.mac(ofPort: ports.count)))
            }
        }
        self.hosts = hosts
        router = try Router.start(configuration, ports, logger: Logger(label: "router"))
    }

    /// Ends what a host has of its cable.
    func close(host number: Int) { hosts[number].close() }

    /// Sends a frame from a host.
    func send(_ frame: [UInt8], fromHost number: Int) throws {
        var batch = try FrameBatch(frameLimit: 1_518)
        let bytes = unsafe frame.span.bytes
        try #require(batch.append(bytes) != nil)
        _ = hosts[number].transmit(batch.slots, of: batch, worker: 0)
    }

    /// What comes to a host next, if something does for a while.
    func receive(atHost number: Int, milliseconds: CInt = 100) throws -> [[UInt8]] {
        var batch = try FrameBatch(frameLimit: 1_518)
        _ = hosts[number].receive(into: &batch, worker: 0)
        if batch.count == 0 {
            hosts[number].descriptor?.waitUntilReadable(milliseconds: milliseconds)
            _ = hosts[number].receive(into: &batch, worker: 0)
        }
        return (0..<batch.count).map { slot in
            let frame = batch.frame(slot)
            return (0..<frame.byteCount).map { frame.loadBigEndian(at: $0, as: UInt8.self) }
        }
    }

    /// Sends a frame until it comes out at another host, which answers for its address meanwhile.
    ///
    /// - Returns: Whether it came; what the router forgets at that moment may cost some of its copies.
    func carry(
        _ frame: [UInt8], from source: Int, to destination: Int, of address: String
    ) throws -> Bool {
        for _ in 0..<100 {
            try send(frame, fromHost: source)
            let came = try receive(atHost: destination)
            for bytes in came {
                guard let question = try ParsedFrame(bytes).arp else { return true }
                try send(
                    TestFrames.arpReply(of: address, host: destination, to: question),
                    fromHost: destination)
            }
        }
        return false
    }
}
