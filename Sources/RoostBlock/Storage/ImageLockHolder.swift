internal import Glibc
internal import RoostSystem
internal import SystemPackage

/// A process that holds a lock on an image, for the message to who wants it.
///
/// The kernel does not say whose a lock of an open file description is (F_OFD_GETLK answers -1), so
/// it is looked for in `/proc/PID/fdinfo`, among the processes that may be looked into.
internal struct ImageLockHolder: Equatable, CustomStringConvertible {
    let processID: Int32
    /// The program's name, or `nil` where it is hidden.
    let program: String?

    /// The holder as a sentence begins with it.
    var description: String {
        "\(program ?? "a program") (process \(processID))"
    }

    /// Looks for the holder of a lock on a byte of a file.
    ///
    /// - Parameters:
    ///   - descriptor: The file, whose own locks do not count.
    ///   - byte: The byte.
    /// - Returns: A holder, or `nil` when none is visible.
    static func find(of descriptor: FileDescriptor, holding byte: Int64) -> ImageLockHolder? {
        var image = stat()
        // SAFETY: fstat fills the struct in. So in all of these.
        guard unsafe fstat(descriptor.rawValue, &image) == 0 else { return nil }
        for process in SmallFile.names(in: "/proc") {
            guard let processID = Int32(process) else { continue }
            for number in SmallFile.names(in: "/proc/\(process)/fdinfo") {
                let isOwn = processID == getpid() && Int32(number) == descriptor.rawValue
                guard !isOwn,
                    let facts = SmallFile.text(of: "/proc/\(process)/fdinfo/\(number)"),
                    holdsLock(on: byte, fdinfo: facts)
                else { continue }
                var other = stat()
                let result = unsafe stat("/proc/\(process)/fd/\(number)", &other)
                if result == 0, other.st_dev == image.st_dev, other.st_ino == image.st_ino {
                    return ImageLockHolder(processID: processID, program: program(of: process))
                }
            }
        }
        return nil
    }

    /// Whether a descriptor's facts (proc(5), `/proc/PID/fdinfo/FD`) list a lock of its open file
    /// on a byte: `lock: 1: OFDLCK ADVISORY READ -1 fe:00:1311 100 101`.
    static func holdsLock(on byte: Int64, fdinfo facts: String) -> Bool {
        for line in facts.split(separator: "\n") where line.hasPrefix("lock:") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count == 9, words[2] == "OFDLCK", let first = Int64(words[7]) else {
                continue
            }
            let last = Int64(words[8]) ?? .max
            if first <= byte && byte <= last { return true }
        }
        return false
    }

    /// The name of a process's program: that of its first argument, since the kernel keeps only 15
    /// bytes of the other.
    private static func program(of process: String) -> String? {
        let arguments = SmallFile.text(of: "/proc/\(process)/cmdline") ?? ""
        if let path = arguments.split(separator: "\0").first,
            let name = path.split(separator: "/").last
        {
            return String(name)
        }
        let name = SmallFile.text(of: "/proc/\(process)/comm")
        return name.map { String($0.prefix { $0 != "\n" }) }
    }
}
