import CDiskPeers
import RoostMemory
import Workloads

/// A disk that jobs are run on.
protocol TestDisk: AnyObject {
    /// What the tables call it.
    var name: String { get }

    /// Runs a job to its end.
    func run(_ job: DiskJob) throws -> DiskFigures
}

/// The disk of an NBD server, reached by libnbd on the calling thread.
@safe
final class NBDDisk: TestDisk {
    let name: String
    private let client: OpaquePointer
    private var load: DiskLoad

    /// Connects to a server's unix socket.
    init(_ name: String, socket: String, byteCount: Int) throws {
        self.name = name
        load = try DiskLoad.make(blockCount: byteCount / pageByteCount)
        guard let client = unsafe cdisk_nbd_open(socket, Int32(DiskLoad.slotLimit)) else {
            throw Failure("cannot reach \(name): \(unsafe String(cString: cdisk_nbd_error()))")
        }
        unsafe self.client = client
        guard unsafe cdisk_nbd_size(client) == byteCount else {
            throw Failure("the disk of \(name) is not \(byteCount) bytes long")
        }
    }

    func run(_ job: DiskJob) throws -> DiskFigures {
        load.start(job)
        for slot in 0..<job.depth { try submit(slot, job, now: cdisk_now()) }
        while !load.isIdle {
            let count = unsafe try check(cdisk_nbd_wait(client))
            let now = cdisk_now()
            for index in 0..<count {
                let slot = Int(unsafe cdisk_nbd_finished(client, index))
                load.finish(slot, now: now, unsafe page(slot).bytes)
                try submit(slot, job, now: now)
            }
        }
        return try load.figures()
    }

    private func submit(_ slot: Int, _ job: DiskJob, now: UInt64) throws {
        var bytes = unsafe page(slot).mutableBytes
        guard let offset = load.next(slot, now: now, &bytes) else { return }
        _ = unsafe try check(
            cdisk_nbd_submit(client, Int32(slot), offset, job.isWrite ? 1 : 0))
    }

    private func page(_ slot: Int) -> UnsafeMutableRawBufferPointer {
        // SAFETY: the client keeps a page for each slot as long as it lives.
        unsafe UnsafeMutableRawBufferPointer(
            start: cdisk_nbd_page(client, Int32(slot)), count: pageByteCount)
    }

    private func check(_ result: Int32) throws -> Int32 {
        guard result >= 0 else {
            throw Failure("\(name): \(unsafe String(cString: cdisk_nbd_error()))")
        }
        return result
    }

    deinit {
        unsafe cdisk_nbd_close(client)
    }
}
