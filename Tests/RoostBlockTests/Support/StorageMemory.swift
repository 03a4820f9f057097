import Foundation
import RoostSystem

/// What the test's own process takes.
enum StorageMemory {
    /// Private anonymous memory that is in use, in bytes.
    static func residentByteCount() -> Int {
        let status = SmallFile.text(of: "/proc/self/status") ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") } ?? ""
        return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
    }

    /// What the open descriptors of this process refer to.
    static func openFiles() -> [String] {
        SmallFile.names(in: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
    }
}
