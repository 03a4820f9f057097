import Glibc
import RoostSystem
import SystemPackage

/// What this process has open, from /proc.
enum ProcessState {
    /// The inode of a socket.
    static func inode(of socket: StreamSocket) throws -> UInt64 {
        var status = stat()
        guard unsafe fstat(socket.descriptor.rawValue, &status) == 0 else {
            throw Errno(rawValue: errno)
        }
        return UInt64(status.st_ino)
    }

    /// Where every open descriptor leads.
    static func openFiles() -> [String] {
        names(in: "/proc/self/fd").compactMap { name in
            var buffer = [UInt8](repeating: 0, count: 4096)
            // SAFETY: readlink writes at most the buffer's length.
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                guard let start = bytes.baseAddress else { return -1 }
                return unsafe readlink("/proc/self/fd/\(name)", start, bytes.count)
            }
            return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }

    /// How many mappings and descriptors of memory files there are whose names begin so.
    static func memoryFiles(_ prefix: String) -> (mappings: Int, descriptors: Int) {
        var mappings = 0
        if let file = unsafe fopen("/proc/self/maps", "r") {
            var line = [CChar](repeating: 0, count: 1024)
            while unsafe fgets(&line, 1024, file) != nil {
                let text = String(
                    decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if text.contains("/memfd:\(prefix)") { mappings += 1 }
            }
            unsafe _ = fclose(file)
        }
        return (mappings, openFiles().filter { $0.hasPrefix("/memfd:\(prefix)") }.count)
    }

    /// The threads of relayed moves; others of the process have nothing to do with them.
    static func moveThreads() -> [String] {
        threads("roost-").filter {
            ["roost-relay", "roost-receive", "roost-answers", "roost-dump"].contains($0)
        }
    }

    /// The threads whose names begin so.
    static func threads(_ prefix: String) -> [String] {
        names(in: "/proc/self/task").compactMap { id in
            guard let file = unsafe fopen("/proc/self/task/\(id)/comm", "r") else { return nil }
            defer { unsafe _ = fclose(file) }
            var line = [CChar](repeating: 0, count: 64)
            guard unsafe fgets(&line, 64, file) != nil else { return nil }
            let name = String(
                decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) },
                as: UTF8.self)
            return name.hasPrefix(prefix) ? name : nil
        }
    }

    /// As ``soon(_:)``, and lets other tests go on meanwhile.
    static func settles(_ condition: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(30)
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return true
    }

    /// Whether something that a thread does on its way out has happened within ten seconds.
    static func soon(_ condition: () -> Bool) -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while !condition() {
            guard ContinuousClock.now < deadline else { return false }
            sched_yield()
        }
        return true
    }

    private static func names(in folder: String) -> [String] {
        guard let entries = unsafe opendir(folder) else { return [] }
        defer { unsafe _ = closedir(entries) }
        var names: [String] = []
        while let entry = unsafe readdir(entries) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    unsafe String(cString: text)
                }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }
}
