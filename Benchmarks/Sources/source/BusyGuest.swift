import Foundation
import RoostGuest
import RoostMemory
import Workloads

/// The child's part as a guest: writes pages when it is told to.
///
/// For `write COUNT SEED` it writes a word to each of COUNT pages that lie evenly over its memory,
/// and answers how many nanoseconds that took.
func beGuest(_ socket: String, _ byteCount: Int) throws {
    let movable = try MovableMemory.open(
        blocks: [(name: "ram", byteCount: byteCount)], socket: socket)
    let memory = movable.blocks[0].memory
    let pageCount = byteCount / pageByteCount
    for page in 0..<pageCount { memory.storeWord(UInt64(page + 1), at: page * pageByteCount) }
    say("READY")
    while let line = readLine() {
        let words = line.split(separator: " ").compactMap { Int($0) }
        guard words.count == 2 else { continue }
        let start = ContinuousClock.now
        for index in 0..<words[0] {
            let page = index * pageCount / words[0]
            memory.storeWord(UInt64(words[1]), at: page * pageByteCount + 8)
        }
        say("\(Int(start.duration(to: .now) / .nanoseconds(1)))")
    }
    movable.close()
}

/// The guest that checks itself, which `run.sh` builds.
func stampedGuest(_ arguments: [String]) throws -> Program {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    let path =
        ProcessInfo.processInfo.environment["ROOST_STAMPED_GUEST"]
        ?? root.appendingPathComponent(".build-release/release/stamped-guest").path
    let program = try Program(path, arguments)
    try program.expect("READY")
    return program
}
