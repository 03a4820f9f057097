import CPeers
import Foundation
import SystemPackage
import Synchronization
import Workloads

/// What the source's process uses beyond the guest's memory at its peak, by the guest's size, with
/// an XBZRLE cache that fills and two threads that compress.
func memoryUse() throws {
    head([
        "guest", "anonymous, MiB", "page tables, MiB", "beyond cache and bitmaps, MiB",
    ])
    for (mebibytes, stride) in [(256, 3), (1024, 11), (4096, 47)] {
        let file = try GuestFile(.text, byteCount: mebibytes << 20)
        let peak = try peak(
            of: ["xbzrle=64", "compress=2", "rounds=3", "stride=\(stride)"], sending: file)
        // One bit a page in the source's bitmap and in the tracker's.
        let bitmaps = Double(file.byteCount / 4096 / 8 * 2) / 1_048_576
        let (anonymous, tables) = (
            Double(peak.anonymous) / 1024, Double(peak.pageTables) / 1024
        )
        row([
            "\(mebibytes) MiB", decimal(anonymous, 1), decimal(tables, 1),
            decimal(anonymous + tables - 64 - bitmaps, 1),
        ])
    }
}

/// The most that was seen.
private final class Peak: Sendable {
    let seen = Mutex<ProcessMemory?>(nil)
    let isOver = Atomic(false)
}

private func peak(of options: [String], sending file: borrowing GuestFile) throws -> ProcessMemory {
    try withFolder { folder in
        let socket = "\(folder)/stream"
        let listener = try unsafe checked(cpeers_listen(socket), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        let program = try Program(["send", socket, file.path, "\(file.byteCount)"] + options)
        defer { program.stop() }
        let connection = try checked(cpeers_accept(listener, 60_000), "accept")
        defer { try? FileDescriptor(rawValue: connection).close() }
        let peak = Peak()
        let processID = program.processID
        Thread.detachNewThread {
            while !peak.isOver.load(ordering: .relaxed) {
                guard let now = ProcessMemory(of: processID) else { return }
                peak.seen.withLock { seen in
                    let before = seen.map { $0.anonymous + $0.pageTables } ?? 0
                    if now.anonymous + now.pageTables > before { seen = now }
                }
                Thread.sleep(forTimeInterval: 0.002)
            }
        }
        _ = try checked(cpeers_discard(connection), "read the stream")
        peak.isOver.store(true, ordering: .relaxed)
        for _ in 0..<3 { try program.line() }
        let statistics = try json(try program.line())
        let cache = statistics["xbzrle-cache"] as? [String: Any]
        guard let misses = cache?["cache-miss"] as? Int, misses > 16_384 else {
            throw Failure("the cache was not filled: \(statistics)")
        }
        guard let seen = peak.seen.withLock({ $0 }) else { throw Failure("nothing was seen") }
        return seen
    }
}
