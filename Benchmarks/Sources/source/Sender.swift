import CPeers
import Foundation
import RoostMemory
import RoostMigration
import SystemPackage
import Workloads

/// A guest that stands still.
final class StandingGuest: MigrationGuest {
    func pause() throws(MigrationError) {}
    func resume() {}
}

/// The words behind `source send SOCKET FILE BYTES`, such as `xbzrle=64`.
struct SenderOptions {
    /// The XBZRLE cache's size in MiB.
    var xbzrle: Int?
    /// How many threads compress.
    var compress: Int?
    /// How many rounds follow the first, and every how many pages one is changed before each.
    var rounds = 0
    var stride = 100

    init(_ words: some Sequence<String>) {
        for word in words {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let value = Int(parts[1]) else { continue }
            switch parts[0] {
            case "xbzrle": xbzrle = value
            case "compress": compress = value
            case "rounds": rounds = value
            case "stride": stride = value
            default: break
            }
        }
    }

    var parameters: MigrationParameters {
        var parameters = MigrationParameters()
        parameters.opensReturnPath = false
        parameters.xbzrleCacheByteCount = xbzrle.map { $0 << 20 }
        parameters.compression = compress.map {
            MigrationParameters.Compression(threads: $0, level: 1)
        }
        return parameters
    }
}

/// The child's part: sends a file as a guest's memory, then prints the statistics as JSON, before
/// that a line for each further round: the bytes it took and the pages that were dirty.
func send(to socket: String, _ path: String, _ byteCount: Int, _ options: SenderOptions)
    async throws
{
    let file = try FileDescriptor.open(FilePath(path), .readWrite)
    let connection = FileDescriptor(
        rawValue: try unsafe checked(cpeers_connect(socket), "connect to the sink"))
    let marks = ExplicitMarks()
    let source = try MigrationSource(
        blocks: [
            MigratedBlock(
                RAMBlock(name: "pc.ram", usedByteCount: UInt64(byteCount)), memory: file,
                requiresSeal: false)
        ],
        tracker: marks, guest: StandingGuest(), throttle: nil, to: connection,
        parameters: options.parameters)
    var statistics: MigrationStatistics
    if options.rounds == 0 {
        statistics = try await source.run()
    } else {
        try source.setUp()
        while try !source.iterate() {}
        for round in 1...options.rounds {
            let before = source.statistics.ram.transferred
            try change(round, of: file, byteCount, options, marks)
            let pending = try source.pending(isExact: true)
            while try !source.iterate() {}
            let bytes = source.statistics.ram.transferred - before
            say("\(bytes) \(Int(pending) / pageByteCount)")
        }
        statistics = try source.complete()
    }
    let encoder = JSONEncoder()
    say(String(decoding: try encoder.encode(statistics), as: UTF8.self))
    _ = readLine()
}

/// Does what the guest does in a round, without a mapping that would count as the source's.
private func change(
    _ round: Int, of file: FileDescriptor, _ byteCount: Int, _ options: SenderOptions,
    _ marks: ExplicitMarks
) throws {
    let changes = Changes(pageCount: byteCount / pageByteCount, stride: options.stride)
    let word = Changes.word(round).bigEndian
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
    for offset in changes.offsets {
        try file.writeAll(toAbsoluteOffset: Int64(offset), bytes)
        marks.mark(block: "pc.ram", offset..<offset + bytes.count)
    }
}
