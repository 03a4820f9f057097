import Foundation
import Glibc
import LabSupport

/// What comes in at a host's device, as tcpdump(8) reads it.
struct Capture: Sendable {
    private let program: ChildProcess

    /// Begins to capture.
    ///
    /// - Parameters:
    ///   - host: Where.
    ///   - filter: Which packets.
    /// - Throws: `LabError` when tcpdump cannot.
    init(at host: NetworkNamespace, _ filter: String) async throws {
        program = try host.start(
            ["tcpdump", "-i", "eth0", "-Q", "in", "-nn", "-vv", "-l", "--immediate-mode"]
                + filter.split(separator: " ").map(String.init))
        try await program.line { $0.contains("listening on eth0") }
    }

    /// Waits until so many lines say something, and ends.
    ///
    /// - Parameters:
    ///   - count: How many.
    ///   - text: What they say.
    /// - Returns: What it read, which is everything that came before the last of them.
    /// - Throws: `LabError` when they do not come.
    func end(after count: Int, of text: String) async throws -> String {
        var next = 0
        for _ in 0..<count {
            next = try await program.line(from: next) { $0.contains(text) }.index + 1
        }
        program.signal(SIGINT)
        try await program.succeed()
        return program.output
    }
}

extension String {
    /// Whether tcpdump found a checksum wrong.
    var hasBadChecksum: Bool {
        ["bad cksum", "bad udp cksum", "wrong icmp cksum", "bad icmp6 cksum", "incorrect"]
            .contains { contains($0) }
    }

    /// How often a text is in it.
    func count(of text: String) -> Int { components(separatedBy: text).count - 1 }
}
