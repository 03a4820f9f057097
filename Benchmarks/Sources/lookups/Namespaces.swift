import Foundation
import RoostRouter

/// A thousand namespaces of twenty routes: what they take.
func namespaces() throws {
    let before = residentBytes()
    let quiescence = try Quiescence(readerLimit: 1)
    var tables = try ForwardingTables(quiescence: quiescence)
    for index in 0..<1_000 as Range<UInt16> {
        let namespace = NamespaceIndex(rawValue: index)
        try tables.addNamespace(namespace)
        let ipv4 = Inputs<IPv4Address>(count: 20, seed: UInt64(index))
        let ipv6 = Inputs<IPv6Address>(count: 20, seed: UInt64(index))
        for (prefix, hop) in zip(ipv4.prefixes, ipv4.hops) {
            try IPv4Address.add(prefix, to: hop, in: &tables, namespace)
        }
        for (prefix, hop) in zip(ipv6.prefixes, ipv6.hops) {
            try IPv6Address.add(prefix, to: hop, in: &tables, namespace)
        }
    }
    let resident = residentBytes() - before
    let usage = tables.usage
    say("1,000 namespaces of 20 routes of IPv4 and 20 of IPv6:\n")
    head(["lookup memory, KiB", "touched, KiB", "tries, KiB", "process, KiB"])
    row(
        [usage.lookupBytes, usage.touchedBytes, usage.trieBytes, resident].map {
            decimal(Double($0) / 1024, 0)
        })
    say("")
}

/// What the process has in memory.
private func residentBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * 4096
}
