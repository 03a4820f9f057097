import CPeers
import Foundation
import SystemPackage
import Workloads

/// What sends a guest's memory over a unix socket.
protocol Sender {
    /// What the tables call it.
    var name: String { get }

    /// Starts a process that connects to the socket and sends the file, and lends it.
    func withProcess<Result>(
        sending file: borrowing GuestFile, to socket: String, in folder: String,
        _ body: (any SenderProcess) throws -> Result
    ) throws -> Result
}

/// A sender's process.
protocol SenderProcess {
    var processID: Int32 { get }

    /// The statistics of the migration, which has ended, by QEMU's names.
    func statistics() throws -> [String: Any]
}

/// This program again, as `source send`.
struct RoostSender: Sender {
    let name = "Roost"
    var options: [String] = []

    func withProcess<Result>(
        sending file: borrowing GuestFile, to socket: String, in folder: String,
        _ body: (any SenderProcess) throws -> Result
    ) throws -> Result {
        let program = try Program(
            ["send", socket, file.path, "\(file.byteCount)"] + options)
        defer { program.stop() }
        return try body(RoostSenderProcess(program: program))
    }
}

struct RoostSenderProcess: SenderProcess {
    let program: Program

    var processID: Int32 { program.processID }

    func statistics() throws -> [String: Any] {
        try json(try program.line())
    }
}

/// The installed QEMU over the same file, its CPU stopped.
struct QEMUSender: Sender {
    let name: String
    /// Whether it maps the file shared, as Roost does, or private.
    let isShared: Bool
    /// How many threads compress.
    var compress: Int?

    init(isShared: Bool, compress: Int? = nil) throws {
        name =
            "QEMU \(try RealQEMU.version(of: RealQEMU.installed)), share="
            + (isShared ? "on" : "off")
        self.isShared = isShared
        self.compress = compress
    }

    func withProcess<Result>(
        sending file: borrowing GuestFile, to socket: String, in folder: String,
        _ body: (any SenderProcess) throws -> Result
    ) throws -> Result {
        let qemu = try RealQEMU(
            RealQEMU.installed,
            [
                "-machine", "pc-q35-7.2,memory-backend=pc.ram", "-m", "\(file.byteCount >> 20)M",
                "-object",
                "memory-backend-file,id=pc.ram,size=\(file.byteCount),mem-path=\(file.path),share="
                    + (isShared ? "on" : "off"),
            ], in: folder)
        defer { qemu.stop() }
        try qemu.execute("migrate-set-parameters", #"{"max-bandwidth":1099511627776}"#)
        if let compress {
            try qemu.execute(
                "migrate-set-capabilities",
                #"{"capabilities":[{"capability":"compress","state":true}]}"#)
            try qemu.execute(
                "migrate-set-parameters",
                #"{"compress-threads":\#(compress),"compress-level":1}"#)
        }
        try qemu.execute("migrate", #"{"uri":"unix:\#(socket)"}"#)
        return try body(QEMUSenderProcess(qemu: qemu))
    }
}

private struct QEMUSenderProcess: SenderProcess {
    let qemu: RealQEMU

    var processID: Int32 { qemu.processID }

    func statistics() throws -> [String: Any] {
        guard let answer = try json(try qemu.completedMigration())["return"] as? [String: Any]
        else { throw Failure("QEMU's statistics cannot be read") }
        return answer
    }
}

func json(_ text: String) throws -> [String: Any] {
    guard let value = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    else { throw Failure("no statistics: \(text)") }
    return value
}

/// What one turn of a sender came to.
struct Turn {
    /// From the sink's accept to the end of the stream.
    let seconds: Double
    /// The stream's length.
    let byteCount: Int
    let statistics: [String: Any]
}

/// Has a sender send a file to a sink that reads and drops everything.
func turn(_ sender: any Sender, _ file: borrowing GuestFile) throws -> Turn {
    if file.content == .holes { try file.restoreHoles() }
    return try withFolder { folder in
        let socket = "\(folder)/stream"
        let listener = try unsafe checked(cpeers_listen(socket), "listen")
        defer { try? FileDescriptor(rawValue: listener).close() }
        return try sender.withProcess(sending: file, to: socket, in: folder) { process in
            let connection = try checked(cpeers_accept(listener, 60_000), "accept")
            let start = ContinuousClock.now
            let byteCount = try checked(cpeers_discard(connection), "read the stream")
            let duration = start.duration(to: .now)
            try? FileDescriptor(rawValue: connection).close()
            let statistics = try process.statistics()
            guard statistics["status"] as? String == "completed" else {
                throw Failure("\(sender.name) did not complete: \(statistics)")
            }
            return Turn(
                seconds: duration.seconds, byteCount: Int(byteCount), statistics: statistics)
        }
    }
}

/// Runs senders by turns on one file.
func turns(
    _ senders: [any Sender], _ file: borrowing GuestFile, count: Int
) throws -> [[Turn]] {
    var results = [[Turn]](repeating: [], count: senders.count)
    for sender in senders { _ = try turn(sender, file) }
    for round in 0..<count {
        for place in senders.indices {
            // Each begins a round as often as the others, as far as it comes out even.
            let index = (place + round) % senders.count
            results[index].append(try turn(senders[index], file))
        }
    }
    return results
}
