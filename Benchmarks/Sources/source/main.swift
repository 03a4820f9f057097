// Measures the source of a migration, beside QEMU's where there is a peer, and prints a table.
//
//     swift run -c release source throughput [holes|zero|random|text]
//     swift run -c release source compression|xbzrle|tracking|slow-down|downtime|memory
//
// Guests' memory lies in /dev/shm, from where it is removed. `slow-down` and `downtime` move the
// guest of `swift build -c release --product stamped-guest --scratch-path .build-release`.

import Foundation
import Workloads

do {
    try await run(Array(CommandLine.arguments.dropFirst()))
} catch {
    FileHandle.standardError.write(Data("source: \(error)\n".utf8))
    exit(1)
}

private func run(_ arguments: [String]) async throws {
    switch arguments.first {
    case "throughput": try throughput(Array(arguments.dropFirst()))
    case "compression": try compression()
    case "xbzrle": try deltas()
    case "tracking": try tracking()
    case "slow-down": try slowDown()
    case "downtime": try await downtime()
    case "memory": try memoryUse()
    // The children's parts.
    case "guest" where arguments.count == 3: try beGuest(arguments[1], Int(arguments[2]) ?? 0)
    case "send" where arguments.count >= 4:
        try await send(
            to: arguments[1], arguments[2], Int(arguments[3]) ?? 0,
            SenderOptions(arguments.dropFirst(4)))
    default:
        throw Failure(
            "usage: source throughput|compression|xbzrle|tracking|slow-down|downtime|memory")
    }
}
