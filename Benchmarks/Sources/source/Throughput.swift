import Foundation
import Workloads

/// How fast 1 GiB goes into a sink, beside QEMU over the same file.
func throughput(_ wanted: [String]) throws {
    let senders: [any Sender] = try [
        RoostSender(), QEMUSender(isShared: false), QEMUSender(isShared: true),
    ]
    head(["memory", "source", "seconds", "MB/s", "stream, MiB", "Roost's time / its"])
    for content in Content.allCases
    where wanted.isEmpty || wanted.contains(content.rawValue) {
        let file = try GuestFile(content, byteCount: 1 << 30)
        let results = try turns(senders, file, count: 9)
        let roost = Spread(results[0].map(\.seconds)).median
        for (sender, turns) in zip(senders, results) {
            let seconds = Spread(turns.map(\.seconds))
            row([
                content.rawValue, sender.name, seconds.text("%.3f"),
                decimal(Double(file.byteCount) / seconds.median / 1e6, 0),
                decimal(Double(turns[0].byteCount) / 1_048_576, 1),
                sender is RoostSender ? "" : decimal(roost / seconds.median),
            ])
        }
    }
}

/// How fast and how far 512 MiB of text is compressed on its way, beside QEMU's threads.
func compression() throws {
    let file = try GuestFile(.text, byteCount: 512 << 20)
    head(["threads", "source", "seconds", "MB/s", "ratio", "Roost's time / its"])
    for threads in [1, 2] {
        let senders: [any Sender] = try [
            RoostSender(options: ["compress=\(threads)"]),
            QEMUSender(isShared: true, compress: threads),
        ]
        let results = try turns(senders, file, count: 5)
        let roost = Spread(results[0].map(\.seconds)).median
        for (sender, turns) in zip(senders, results) {
            let seconds = Spread(turns.map(\.seconds))
            row([
                "\(threads)", sender.name, seconds.text("%.2f"),
                decimal(Double(file.byteCount) / seconds.median / 1e6, 0),
                decimal(Double(file.byteCount) / Double(turns[0].byteCount)),
                sender is RoostSender ? "" : decimal(roost / seconds.median),
            ])
        }
    }
}
