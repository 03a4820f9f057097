// Loads a plain stream of 1 GiB into Roost and into real QEMUs by turns, each a process of its own
// that takes it from a unix socket, and prints a table of medians and their ratios.
//
//     swift run -c release loader [--no-huge-pages]
//
// QEMU asks the kernel for huge pages and Roost does not; the option takes them from both.

import CPeers
import Workloads

if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "receive" {
    try receive(at: CommandLine.arguments[2])
} else {
    if CommandLine.arguments.contains("--no-huge-pages") {
        _ = try checked(cpeers_disable_huge_pages(), "turn huge pages off")
    }
    try compare()
}
