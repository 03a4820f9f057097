// Measures disks, beside what else there is, and prints tables.
//
//     swift run -c release disk peers [seconds=2] [fio] [alone]
//     swift run -c release disk guests [seconds=1] [plot=FILE]
//     swift run -c release disk index|memory|floor
//
// NBD servers are the installed nbdkit and qemu-nbd; the latter's disk lies in /dev/shm, from
// where it is removed.

import Foundation
import Workloads

do {
    try await run(Array(CommandLine.arguments.dropFirst()))
} catch {
    FileHandle.standardError.write(Data("disk: \(error)\n".utf8))
    exit(1)
}

private func run(_ arguments: [String]) async throws {
    switch arguments.first {
    case "peers": try await peers(Array(arguments.dropFirst()))
    case "index": try index()
    case "floor": try await floorOfRequest()
    case "guests": try await guests(Array(arguments.dropFirst()))
    case "memory": try await backendMemory()
    // The children's parts.
    case "hypervisor" where arguments.count == 2: try beHypervisor(arguments[1])
    case "backend" where arguments.count == 5:
        try beBackend(
            arguments[1], arguments[2], Int(arguments[3]) ?? 0, UInt64(arguments[4]) ?? 0)
    case "guest" where arguments.count == 3: try await beGuest(arguments[1], arguments[2])
    default: throw Failure("usage: disk peers|guests|index|memory|floor")
    }
}
