import CPeers
import Foundation
import RoostMemory
import SystemPackage
import Workloads

/// What XBZRLE saves on a guest that changes 8 bytes in each hundredth page: the rounds of Roost
/// with and without it, and what a delta takes beside QEMU with a guest that changes the same.
func deltas() throws {
    let byteCount = 256 << 20
    let file = try GuestFile(.text, byteCount: byteCount)
    let rounds = ["rounds=12", "stride=100"]
    let plain = try roundBytes(RoostSender(options: rounds), file)
    let encoded = try roundBytes(RoostSender(options: rounds + ["xbzrle=64"]), file)
    // In the first of these rounds the cache takes the pages, which go whole.
    let (with, without) = (
        Spread(encoded.rounds.dropFirst().map(Double.init)).median,
        Spread(plain.rounds.dropFirst().map(Double.init)).median
    )
    head(["a round of", "pages", "KiB", "ratio"])
    row(["plain pages", "\(plain.pages)", decimal(without / 1024, 1), "1"])
    row([
        "deltas", "\(encoded.pages)", decimal(with / 1024, 1), decimal(without / with, 0) + " : 1",
    ])
    say("")
    head(["source", "dirty syncs", "pages in the cache", "bytes a page", "overflows", "misses"])
    deltaRow("Roost", encoded.statistics)
    // QEMU 7.2 under TCG loses pages of RAM whose length is a multiple of 256 KiB.
    let larger = try GuestFile(.text, byteCount: byteCount + (64 << 10))
    for _ in 0..<20 {
        guard let statistics = try qemuDeltas(larger) else { continue }
        deltaRow("QEMU \(try RealQEMU.version(of: RealQEMU.installed))", statistics)
        return
    }
    throw Failure("QEMU's migration always completed before its rounds could be counted")
}

private struct Rounds {
    var rounds: [Int] = []
    var pages = 0
    var statistics: [String: Any] = [:]
}

private func roundBytes(_ sender: RoostSender, _ file: borrowing GuestFile) throws -> Rounds {
    try withFolder { folder in
        let socket = "\(folder)/stream"
        let listener = try unsafe checked(cpeers_listen(socket), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        let program = try Program(
            ["send", socket, file.path, "\(file.byteCount)"] + sender.options)
        defer { program.stop() }
        let connection = try checked(cpeers_accept(listener, 60_000), "accept")
        defer { try? FileDescriptor(rawValue: connection).close() }
        _ = try checked(cpeers_discard(connection), "read the stream")
        var result = Rounds()
        while true {
            let line = try program.line()
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            guard numbers.count == 2 else {
                result.statistics = try json(line)
                return result
            }
            result.rounds.append(numbers[0])
            result.pages = numbers[1]
        }
    }
}

private func deltaRow(_ name: String, _ statistics: [String: Any]) {
    func number(_ part: String, _ name: String) -> Int {
        (statistics[part] as? [String: Any])?[name] as? Int ?? 0
    }
    let pages = number("xbzrle-cache", "pages")
    row([
        name, "\(number("ram", "dirty-sync-count"))", "\(pages)",
        decimal(Double(number("xbzrle-cache", "bytes")) / Double(max(1, pages))),
        "\(number("xbzrle-cache", "overflow"))", "\(number("xbzrle-cache", "cache-miss"))",
    ])
}

/// Lets the firmware run in a QEMU that migrates into a sink, for some rounds; `nil` when it
/// completed before.
private func qemuDeltas(_ file: borrowing GuestFile) throws -> [String: Any]? {
    try withFolder { folder -> [String: Any]? in
        let socket = "\(folder)/stream"
        let listener = try unsafe checked(cpeers_listen(socket), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        let qemu = try RealQEMU(
            RealQEMU.installed,
            [
                "-machine", "pc-q35-7.2,memory-backend=pc.ram", "-m", "\(file.byteCount >> 10)K",
                "-object",
                "memory-backend-file,id=pc.ram,size=\(file.byteCount),mem-path=\(file.path),"
                    + "share=on",
                "-bios", try firmware(in: folder),
            ], in: folder)
        defer { qemu.stop() }
        try qemu.execute(
            "migrate-set-capabilities",
            #"{"capabilities":[{"capability":"xbzrle","state":true}]}"#)
        try qemu.execute(
            "migrate-set-parameters",
            #"{"max-bandwidth":500000000,"downtime-limit":1,"xbzrle-cache-size":67108864}"#)
        try qemu.execute("cont")
        try qemu.execute("migrate", #"{"uri":"unix:\#(socket)"}"#)
        let connection = try checked(cpeers_accept(listener, 60_000), "accept")
        // The sink ends with QEMU.
        Thread.detachNewThread {
            _ = cpeers_discard(connection)
            try? FileDescriptor(rawValue: connection).close()
        }
        while true {
            let answer = try json(try qemu.execute("query-migrate"))["return"] as? [String: Any]
            let cache = answer?["xbzrle-cache"] as? [String: Any]
            if let answer, let count = cache?["pages"] as? Int, count >= 6000 { return answer }
            // It completes when it looks at a moment at which nothing was written.
            let status = answer?["status"] as? String ?? "?"
            guard ["setup", "active"].contains(status) else { return nil }
            Thread.sleep(forTimeInterval: 0.005)
        }
    }
}

private func firmware(in folder: String) throws -> String {
    var package = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { package.deleteLastPathComponent() }
    let source = package.appendingPathComponent("firmware/changes.S").path
    let (object, linked, binary) = ("\(folder)/o", "\(folder)/elf", "\(folder)/bios")
    try run("/usr/bin/cc", ["-m32", "-c", "-o", object, source])
    try run(
        "/usr/bin/ld", ["-m", "elf_i386", "-e", "0xf0000", "-Ttext=0xf0000", "-o", linked, object])
    try run("/usr/bin/objcopy", ["-O", "binary", linked, binary])
    return binary
}

private func run(_ program: String, _ arguments: [String]) throws {
    let process = try Process.run(URL(fileURLWithPath: program), arguments: arguments)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure("\(program) failed") }
}
