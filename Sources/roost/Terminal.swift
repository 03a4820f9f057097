import Glibc
import RoostSystem
import SystemPackage

extension Console {
    /// Whether a descriptor is a terminal.
    static func isTerminal(_ descriptor: FileDescriptor) -> Bool {
        isatty(descriptor.rawValue) == 1
    }

    /// The columns of a terminal, 0 where it does not tell.
    static func columns(_ descriptor: FileDescriptor) -> Int {
        Terminal.columns(descriptor)
    }

    /// The machine's memory in bytes, the default bound for what a stream may announce.
    static var physicalMemory: UInt64 {
        UInt64(max(sysconf(Int32(_SC_PHYS_PAGES)), 1)) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
