// Measures lookups of longest prefixes beside DPDK's tables, by turns, and prints tables.
//
//     Benchmarks/lookup-peers.sh        # needs libdpdk-dev
//     swift run -c release lookups [peers=LIBRARY] [prefixes=N] [SUBJECT...]
//
// Subjects are ipv4, ipv6, namespaces; without one all are measured. Without a library of peers Roost
// is measured alone.

import Foundation

do {
    var arguments = Array(CommandLine.arguments.dropFirst())
    let path = arguments.first { $0.hasPrefix("peers=") }
    let counts = arguments.first { $0.hasPrefix("prefixes=") }.flatMap {
        Int($0.dropFirst("prefixes=".count))
    }.map { [$0] }
    arguments.removeAll { $0.contains("=") }
    let library = try path.map { try PeerLibrary(path: String($0.dropFirst("peers=".count))) }
    let subjects = arguments.isEmpty ? ["ipv4", "ipv6", "namespaces"] : arguments
    if let library { say("\(library.version)\n") }
    for subject in subjects {
        switch subject {
        case "ipv4": try ipv4(library, counts: counts)
        case "ipv6": try ipv6(library, counts: counts)
        case "namespaces": try namespaces()
        default: throw Failure("usage: lookups [peers=LIBRARY] [ipv4|ipv6|namespaces]")
        }
    }
} catch {
    FileHandle.standardError.write(Data("lookups: \(error)\n".utf8))
    exit(1)
}

/// Prints a line.
func say(_ line: String) {
    print(line)
    fflush(nil)
}
