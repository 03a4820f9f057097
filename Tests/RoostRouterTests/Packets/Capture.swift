internal import Foundation
import Testing

/// The frames of a file in tcpdump's classic format (little-endian, version 2.4, Ethernet).
struct Capture {
    /// Every capture beside the tests; Fixtures/README.md says how they were made.
    static let names = [
        "arp-ping", "fragments-before", "fragments-behind", "link-up", "nd-ping6", "options6",
        "redirect", "tcp-udp", "too-big", "traceroute", "unreachable", "vlan",
    ]

    /// The frames, in the order in which they came.
    let frames: [[UInt8]]

    /// Reads a capture of the fixtures.
    init(_ name: String) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/captures")
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent("\(name).pcap")))
        func number(at offset: Int) -> Int {
            (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
        }
        try #require(number(at: 0) == 0xA1B2_C3D4 && number(at: 20) == 1)
        var frames: [[UInt8]] = []
        var offset = 24
        while offset < bytes.count {
            let count = number(at: offset + 8)
            try #require(count == number(at: offset + 12))
            frames.append(Array(bytes[offset + 16..<offset + 16 + count]))
            offset += 16 + count
        }
        try #require(!frames.isEmpty)
        self.frames = frames
    }

    /// All frames of all captures.
    static func all() throws -> [[UInt8]] {
        try names.flatMap { try Capture($0).frames }
    }
}
