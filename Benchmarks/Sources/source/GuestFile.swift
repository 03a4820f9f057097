import Foundation
import RoostMemory
import SystemPackage
import Workloads

/// What a guest's memory holds.
enum Content: String, CaseIterable {
    /// Nothing was ever written.
    case holes
    /// Zeros that take memory.
    case zero
    case random
    case text
}

/// A guest's memory in a file of `/dev/shm`, which is removed when the value ends.
struct GuestFile: ~Copyable {
    /// How many different pages are made; each carries its own number besides.
    private static let poolCount = 2048

    let path: String
    let byteCount: Int
    let content: Content

    /// Makes a file.
    init(_ content: Content, byteCount: Int) throws {
        path = "/dev/shm/roost-bench-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        self.byteCount = byteCount
        self.content = content
        let file = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create, .exclusiveCreate],
            permissions: .ownerReadWrite)
        defer { try? file.close() }
        try file.resize(to: Int64(byteCount))
        guard content != .holes else { return }
        var pool = Self.pool(content)
        for start in stride(from: 0, to: byteCount, by: pool.count) {
            if content != .zero { Self.number(&pool, from: start / pageByteCount) }
            let count = min(pool.count, byteCount - start)
            try file.writeAll(toAbsoluteOffset: Int64(start), pool[..<count])
        }
    }

    /// Makes the file's holes anew: a QEMU that looked at them has given them memory.
    func restoreHoles() throws {
        let file = try FileDescriptor.open(FilePath(path), .readWrite)
        defer { try? file.close() }
        try file.resize(to: 0)
        try file.resize(to: Int64(byteCount))
    }

    private static func pool(_ content: Content) -> [UInt8] {
        var random = SeededRandom(seed: 2015)
        var pool: [UInt8] = []
        for _ in 0..<poolCount {
            switch content {
            case .holes, .zero: pool += PageContents.zero
            case .random: pool += PageContents.random(using: &random)
            case .text: pool += PageContents.text(using: &random)
            }
        }
        return pool
    }

    private static func number(_ pool: inout [UInt8], from first: Int) {
        for page in 0..<poolCount {
            let number = UInt64(first + page + 1)
            for byte in 0..<8 {
                pool[page * pageByteCount + byte] = UInt8(truncatingIfNeeded: number >> (8 * byte))
            }
        }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The places that a guest writes in a round: 8 bytes in one page of so many, at an offset that
/// differs from page to page.
struct Changes {
    let pageCount: Int
    /// Every how many pages one is changed.
    let stride: Int
    /// Behind the page's own number.
    static func offset(of page: Int) -> Int { 8 + page % 500 * 8 }

    var offsets: [Int] {
        Swift.stride(from: 0, to: pageCount, by: stride).map {
            $0 * pageByteCount + Self.offset(of: $0)
        }
    }

    /// The word of a round, in each byte another than that of the round before.
    static func word(_ round: Int) -> UInt64 {
        0x0101_0101_0101_0101 &* UInt64(round % 254 + 1)
    }
}
