import Glibc
import RoostHypervisor
import RoostMemory
import RoostSystem
import SystemPackage

/// A process that tests start and kill: a domain, or a hypervisor.
///
///     hypervisor-client hypervisor --socket PATH --exit-when-idle --ready-descriptor 3
///     hypervisor-client domain PATH PEER
///
/// The domain says `domain ID`, is told a grant and a port of its peer's, `REFERENCE PORT`, maps the
/// one and binds the other, grants a page of 0x5a and makes a port, and says `ready REFERENCE PORT`.
/// Then it waits for the end of its input, or of itself.
@main
struct HypervisorClient {
    static func main() throws {
        let words = CommandLine.arguments.dropFirst()
        switch words.first {
        case "hypervisor": try hypervisor(Array(words))
        case "domain": try domain(Array(words))
        default: exit(64)
        }
    }

    private static func hypervisor(_ words: [String]) throws {
        guard words.count == 6 else { exit(64) }
        try EmbeddedHypervisor.run(
            at: HypervisorLocation(socketPath: words[2]),
            options: .init(exitsWhenIdle: .milliseconds(500)), until: StopSignal(),
            whenReady: HypervisorLauncher.announceReady)
    }

    private static func domain(_ words: [String]) throws {
        guard words.count == 3, let peerNumber = UInt16(words[2]) else { exit(64) }
        let peer = DomainID(rawValue: peerNumber)
        let domain = try EmbeddedDomain(
            at: HypervisorLocation(socketPath: words[1]), name: "client")
        try say("domain \(domain.id)")
        let told = (readLine() ?? "").split(separator: " ").compactMap { UInt32($0) }
        guard told.count == 2 else { exit(65) }
        let window = try PageWindow(pageCount: 1)
        var mapper = try domain.makeMapper(of: peer)
        let references = [GrantReference(rawValue: told[0])]
        _ = try mapper.map(references.span, .readWrite, into: window, at: 0)
        let bound = try domain.bind(to: peer, port: EventPort(rawValue: told[1]))
        var allocator = try domain.makeAllocator(for: peer, pageLimit: 1)
        let page = try allocator.claim(.readWrite)
        for offset in stride(from: 0, to: pageByteCount, by: 4) {
            allocator.window.storeRelaxed(0x5a5a_5a5a, at: offset)
        }
        let made = try domain.allocateUnbound(for: peer)
        try say("ready \(page.reference) \(made.port)")
        while readLine() != nil {}
        withExtendedLifetime(domain) {}
        try say("\(mapper.mappedCount) \(bound.port) \(allocator.claimedCount) \(made.port)")
    }

    /// Writes a line at once.
    private static func say(_ line: String) throws {
        try FileDescriptor.standardOutput.writeAll("\(line)\n".utf8)
    }
}
