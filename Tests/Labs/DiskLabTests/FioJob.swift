import LabSupport
import RoostMigration

/// A run of fio(1) that writes to a disk and reads all of it back, compared.
struct FioJob {
    /// Where it writes to.
    enum Target {
        /// A disk over NBD, by its name.
        case nbd(String)
        /// An image itself.
        case file(String)

        var options: [String] {
            switch self {
            case .nbd(let uri): ["--ioengine=nbd", "--uri=\(uri)"]
            case .file(let path): ["--ioengine=psync", "--filename=\(path)"]
            }
        }
    }

    /// What fio found.
    struct Report {
        /// The bytes that were written and read.
        let written: UInt64
        let read: UInt64
        /// The longest that a request took.
        let longest: Duration
    }

    private let child: ChildProcess

    /// Starts fio: it writes a range once, in random order and lengths, with a checksum in each
    /// block, and then reads it back.
    ///
    /// - Parameters:
    ///   - target: The disk.
    ///   - mebibytes: The range from the disk's start, per job.
    ///   - jobs: How many do so at once, each with a range and a connection of its own.
    ///   - options: Further options.
    /// - Throws: `LabError` when there is no fio.
    init(
        _ target: Target, mebibytes: Int, jobs: Int = 1, options: [String] = []
    ) throws {
        child = try LabTool.start(
            "fio",
            [
                "--name=verify", "--thread", "--iodepth=16",
                "--rw=randwrite", "--bssplit=512/20:4k/50:8k/10:36k/10:128k/10",
                "--size=\(mebibytes)m", "--numjobs=\(jobs)", "--offset_increment=\(mebibytes)m",
                "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0",
                "--randrepeat=1", "--group_reporting", "--output-format=json",
            ] + target.options + options)
    }

    /// Whether it is still at work.
    var isOver: Bool { child.hasEnded }

    /// Waits until it has ended well.
    ///
    /// - Returns: What it found.
    /// - Throws: `LabError` with what it wrote, when it met an error or a difference.
    func succeed() async throws -> Report {
        let status = try await child.exit(within: .seconds(120))
        let report = child.output.firstIndex(of: "{").map { child.output[$0...] } ?? ""
        let job = try? JSONValue(json: report.utf8)["jobs"]?.array?.first
        guard status == 0, let job, job["error"]?.signedInteger == 0 else {
            let errors = child.lines.filter(\.isError).map(\.text).joined(separator: "\n")
            throw LabError("fio ended with \(status):\n\(errors)")
        }
        func number(_ side: String, _ key: String...) -> UInt64 {
            key.reduce(job[side]) { $0?[$1] }?.unsignedInteger ?? 0
        }
        return Report(
            written: number("write", "io_bytes"), read: number("read", "io_bytes"),
            longest: .nanoseconds(
                max(number("write", "lat_ns", "max"), number("read", "lat_ns", "max"))))
    }
}
