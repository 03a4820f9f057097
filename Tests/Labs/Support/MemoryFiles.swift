import Foundation

/// Compares files that hold a guest's memory.
package enum MemoryFiles {
    private static let pageByteCount = 4096

    /// The pages in which two files differ, by number.
    ///
    /// - Throws: `LabError` when their lengths differ.
    package static func differingPages(_ first: String, _ second: String) throws -> [Int] {
        let here = try Data(contentsOf: URL(fileURLWithPath: first), options: .alwaysMapped)
        let there = try Data(contentsOf: URL(fileURLWithPath: second), options: .alwaysMapped)
        guard here.count == there.count else {
            throw LabError(
                "\(first) has \(here.count) bytes and \(second) has \(there.count)")
        }
        guard here != there else { return [] }
        return (0..<here.count / pageByteCount).filter { page in
            let range = page * pageByteCount..<(page + 1) * pageByteCount
            return here[range] != there[range]
        }
    }

    /// A file's length in bytes.
    package static func byteCount(_ path: String) throws -> UInt64 {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.size] as? NSNumber)?.uint64Value ?? 0
    }

    /// Whether a file holds a text.
    package static func contains(_ text: String, in path: String) throws -> Bool {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        return bytes.range(of: Data(text.utf8)) != nil
    }
}
