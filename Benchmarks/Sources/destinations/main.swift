// Measures destination entries: what references cost, what a collector's pass costs and what packets
// see of it, beside the ways of the classic destination cache.
//
//     swift run -c release destinations references|collector|flush

import Foundation

do {
    switch CommandLine.arguments.dropFirst().first {
    case "references": try references()
    case "collector": try collector()
    case "flush": try flush()
    default: throw Failure("usage: destinations references|collector|flush")
    }
} catch {
    FileHandle.standardError.write(Data("destinations: \(error)\n".utf8))
    exit(1)
}
