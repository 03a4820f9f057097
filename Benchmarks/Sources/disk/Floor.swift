import CDiskPeers
import Foundation
import RoostBlock
import RoostHypervisor
import RoostMemory
import Workloads

/// The least that a request to a memory disk costs: one copy of a page and one event.
///
/// Beside it, what the backend's thread takes for one.
func floorOfRequest() async throws {
    head(["what", "ns"])
    var region = try MappedRegion.anonymous(byteCount: 1 << 30)
    var bytes = region.mutableBytes
    bytes.fill(with: 0)
    for (text, pageCount) in [("within 256 KiB", 64), ("over 1 GiB", 1 << 18)] {
        var random = SeededRandom(seed: 2012)
        let offsets = (0..<65_536).map { _ in
            random.next() % UInt64(pageCount) * UInt64(pageByteCount)
        }
        row(["a copy of 4 KiB, to anywhere \(text)", copies(&bytes, offsets).text("%.0f")])
    }
    let count = 100_000
    let times = try (0..<21).map { _ in
        let begin = cdisk_now()
        _ = try checked(cdisk_signal(Int32(count)), "write to an event descriptor")
        return Double(cdisk_now() - begin) / Double(count)
    }
    row(["a write to an event descriptor that nobody waits for", Spread(times).text("%.0f")])
    try await backendCosts()
}

/// The processor time of the backend's threads for a request, 32 being under way.
private func backendCosts() async throws {
    for byteCount in [256 << 10, 1 << 30] {
        let lab = try DiskLab.start(.persistent, diskCount: 1, byteCount: byteCount)
        let domain = try lab.domain("guest")
        let disk = try await RoostDisk.connect(
            "Roost", domain: domain, folder: try await lab.attach(disk: 0, to: domain.id),
            byteCount: byteCount)
        _ = try disk.run(.fill(blockCount: byteCount / pageByteCount))
        for isWrite in [false, true] {
            let job = DiskJob(isWrite: isWrite, depth: 32, duration: 300_000_000)
            var (costs, events): ([Double], [Double]) = ([], [])
            for _ in 0..<7 {
                let (time, counts) = (try processorTime(of: lab), try lab.backendLine("grants"))
                _ = try disk.run(job)
                let (timeAfter, after) = (try processorTime(of: lab), try lab.backendLine("grants"))
                let requests = Double(after[0] - counts[0])
                costs.append(Double(timeAfter - time) / requests)
                events.append(Double(after[5] - counts[5]) / requests)
            }
            row([
                "the backend: a \(isWrite ? "write" : "read") within \(byteCount >> 10) KiB, "
                    + "with \(decimal(Spread(events).median)) events",
                Spread(costs).text("%.0f"),
            ])
        }
        withExtendedLifetime(lab) {}
    }
}

/// The processor time that a lab's backend has taken, in nanoseconds.
///
/// It is that of all its threads; besides the queue's they answer questions only.
private func processorTime(of lab: DiskLab) throws -> Int {
    let tasks = "/proc/\(lab.backend.processID)/task"
    return try FileManager.default.contentsOfDirectory(atPath: tasks).reduce(0) { sum, task in
        let text = try String(contentsOfFile: "\(tasks)/\(task)/schedstat", encoding: .utf8)
        guard let time = Int(text.split(separator: " ").first ?? "") else {
            throw Failure("'\(text)' is no time")
        }
        return sum + time
    }
}

private func copies(_ target: inout MutableRawSpan, _ offsets: [UInt64]) -> Spread {
    let page = [UInt8](repeating: 1, count: pageByteCount)
    let times = (0..<21).map { _ in
        let begin = cdisk_now()
        unsafe target.withUnsafeMutableBytes { target in
            unsafe page.withUnsafeBytes { page in
                unsafe offsets.withUnsafeBufferPointer { offsets in
                    guard let target = target.baseAddress, let page = page.baseAddress,
                        let first = offsets.baseAddress
                    else { return }
                    unsafe cdisk_copy_pages(target, page, first, Int32(offsets.count))
                }
            }
        }
        return Double(cdisk_now() - begin) / Double(offsets.count)
    }
    return Spread(times)
}
