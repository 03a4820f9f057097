import Foundation
import RoostMemory
import Workloads

/// How many pages the guest has: 1 GiB.
let pageCount = 256 << 10
/// A machine type that every QEMU from 7.2 on has.
let machine = "pc-q35-7.2"
/// Turns of each loader, an odd number.
let turnCount = 9

/// Runs every loader by turns and prints the table.
func compare() throws {
    var pages = try GuestPages()
    let stream = try RAMStream.make(.plain, pageCount: pageCount, of: &pages, machine: machine)
    let loaders: [any Loader] = try [RoostLoader()] + QEMULoader.all()
    var times = [[Double]](repeating: [], count: loaders.count)
    for loader in loaders {
        _ = try turn(loader, stream, &pages, fully: true)
    }
    for turnIndex in 0..<turnCount {
        for place in loaders.indices {
            // Each begins a round as often as the others, as far as it comes out even.
            let index = (place + turnIndex) % loaders.count
            let duration = try turn(loaders[index], stream, &pages, fully: false)
            times[index].append(duration / .seconds(1))
        }
    }
    let roost = median(times[0])
    print("| loader | seconds | MB/s | Roost / it, in time |")
    print("|---|---|---|---|")
    for (loader, times) in zip(loaders, times) {
        let sorted = times.sorted()
        let middle = median(times)
        let spread = (sorted[sorted.count * 3 / 4] - sorted[sorted.count / 4]) / 2 / middle
        let rate = Double(pageCount * pageByteCount) / middle / 1e6
        print(
            String(
                format: "| %@ | %.3f ± %.0f %% | %.0f | %.2f |", loader.name, middle,
                spread * 100, rate, roost / middle))
    }
}

private func median(_ times: [Double]) -> Double {
    times.sorted()[times.count / 2]
}
