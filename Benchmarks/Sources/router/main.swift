// Measures the router in memory: the forwarding step beside the same work in C, and what a namespace feels
// of another that scans.
//
//     swift run -c release router [routes=N] [forwarding|scan]
//
// Without a subject both are measured.

import Foundation

do {
    var arguments = Array(CommandLine.arguments.dropFirst())
    let counts = arguments.first { $0.hasPrefix("routes=") }.flatMap {
        Int($0.dropFirst("routes=".count))
    }.map { [$0] }
    arguments.removeAll { $0.contains("=") }
    for subject in arguments.isEmpty ? ["forwarding", "scan"] : arguments {
        switch subject {
        case "forwarding": try forwarding(routeCounts: counts ?? [1_000, 900_000])
        case "scan": try scan()
        default: throw Failure("usage: router [routes=N] [forwarding|scan]")
        }
    }
} catch {
    FileHandle.standardError.write(Data("router: \(error)\n".utf8))
    exit(1)
}

/// Prints a line.
func say(_ line: String) {
    print(line)
    fflush(nil)
}
