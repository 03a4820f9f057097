package import SystemPackage

/// The names by which the store's answers say why something was refused (`xs_wire.h`:
/// `xsd_errors`).
package enum StoreErrorName {
    private static let table: [(name: String, errno: Errno)] = [
        ("EINVAL", .invalidArgument), ("EACCES", .permissionDenied), ("EEXIST", .fileExists),
        ("EISDIR", .isDirectory), ("ENOENT", .noSuchFileOrDirectory), ("ENOMEM", .noMemory),
        ("ENOSPC", .noSpace), ("EIO", .ioError), ("ENOTEMPTY", .directoryNotEmpty),
        ("ENOSYS", .noFunction), ("EROFS", .readOnlyFileSystem), ("EBUSY", .resourceBusy),
        ("EAGAIN", .resourceTemporarilyUnavailable), ("EISCONN", .socketIsConnected),
        ("E2BIG", .argListTooLong), ("EPERM", .notPermitted),
    ]

    /// The name of a reason; one without a name is an EINVAL, as xenstored has it.
    package static func name(of reason: Errno) -> String {
        table.first { $0.errno == reason }?.name ?? "EINVAL"
    }

    /// The reason that a name stands for; an unknown name is an EIO.
    package static func reason(named name: String) -> Errno {
        table.first { $0.name == name }?.errno ?? .ioError
    }
}
