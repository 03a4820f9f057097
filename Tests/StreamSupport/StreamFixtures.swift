internal import Foundation
internal import Synchronization

/// The recorded streams, unpacked with gzip(1) so that nothing of Roost is needed to have them.
public enum StreamFixtures {
    /// What a source's block held when it had stopped, and what the source counted.
    public struct Truth: Decodable, Sendable {
        /// The stream's file.
        public let file: String
        /// The RAM block.
        public let block: String
        /// Its length in bytes.
        public let bytes: UInt64
        /// The SHA-256 of its content.
        public let sha256: String
        /// The source's count of zero pages.
        public let zeroPages: UInt64
        /// The source's count of normal pages.
        public let normalPages: UInt64
        /// How often the source synchronized its dirty log.
        public let dirtySyncCount: Int
    }

    /// The folder of the recordings in the source tree.
    public static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("RoostMigrationTests/Fixtures/streams").path

    private static let cache = Mutex<[String: [UInt8]]>([:])

    /// The bytes of a recording.
    ///
    /// - Parameter name: The file's name, such as `7.2-q35-paused.stream`, without `.gz`.
    /// - Returns: What it holds, unpacked.
    /// - Throws: ``CommandLineTool/Failure``.
    public static func bytes(_ name: String) throws -> [UInt8] {
        if let known = cache.withLock({ $0[name] }) { return known }
        let bytes = try CommandLineTool.output(of: "gzip", "-dc", "\(folder)/\(name).gz")
        cache.withLock { $0[name] = bytes }
        return bytes
    }

    /// The names of all recordings, sorted.
    public static let names: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
        .filter { $0.hasSuffix(".gz") }.map { String($0.dropLast(3)) }.sorted()

    /// The whole streams that a file can hold and Roost reads to the end.
    public static let sound = names.filter { name in
        (name.hasSuffix(".stream") || name.hasSuffix(".to-destination"))
            && !name.contains("postcopy") && !name.contains("mapped-ram")
    }

    /// What the sources held and counted.
    public static func truths() throws -> [Truth] {
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/truth.json"))
        return try JSONDecoder().decode([Truth].self, from: data)
    }
}
