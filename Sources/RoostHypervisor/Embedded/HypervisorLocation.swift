internal import Glibc
internal import RoostSystem
internal import SystemPackage

/// Where an embedded hypervisor is found: two unix sockets in one folder.
public struct HypervisorLocation: Hashable, Sendable {
    /// The socket that domains connect to.
    public let socketPath: String

    /// The folder of the sockets.
    public var directory: String {
        guard let slash = socketPath.lastIndex(of: "/") else { return "." }
        return slash == socketPath.startIndex ? "/" : String(socketPath[..<slash])
    }

    /// The socket that speaks xenstore's wire protocol, with all privileges: what XENSTORED_PATH
    /// names for Xen's own tools.
    public var storePath: String { "\(directory)/xenstore" }

    /// The file that one starter at a time locks.
    var lockPath: String { "\(directory)/launcher.lock" }

    /// What a hypervisor writes that was started by somebody else.
    public var logPath: String { "\(directory)/hypervisor.log" }

    /// Names the hypervisor of a folder.
    ///
    /// - Parameter directory: The folder; it need not exist.
    /// - Throws: `HypervisorError` of kind `system` when the path is too long for a socket.
    public init(directory: String) throws(HypervisorError) {
        try self.init(socketPath: "\(directory)/hypervisor")
    }

    /// Names the hypervisor of a socket.
    ///
    /// - Parameter socketPath: The socket that domains connect to.
    /// - Throws: `HypervisorError` of kind `system` when the path is empty or too long.
    public init(socketPath: String) throws(HypervisorError) {
        self.socketPath = socketPath
        do throws(SystemError) {
            try Endpoint.unix(path: socketPath).check()
            try Endpoint.unix(path: storePath).check()
        } catch {
            throw HypervisorError(
                .system, errno: error.errno,
                "no hypervisor can be at '\(socketPath)': \(error.description)")
        }
    }

    /// The hypervisor that a process of this user is to use.
    ///
    /// ROOST_SOCKET names its socket; else it lies in `/run/roost` for root, and in
    /// `$XDG_RUNTIME_DIR/roost` for everybody else.
    ///
    /// - Parameter environment: The process's environment.
    /// - Returns: Where it is to be.
    /// - Throws: `HypervisorError` of kind `system` when none of them says where.
    public static func standard(
        environment: [String: String]
    ) throws(HypervisorError) -> HypervisorLocation {
        try standard(environment: environment, isRoot: geteuid() == 0)
    }

    static func standard(
        environment: [String: String], isRoot: Bool
    ) throws(HypervisorError) -> HypervisorLocation {
        if let socket = environment["ROOST_SOCKET"], !socket.isEmpty {
            return try HypervisorLocation(socketPath: socket)
        }
        if isRoot { return try HypervisorLocation(directory: "/run/roost") }
        guard let folder = environment["XDG_RUNTIME_DIR"], !folder.isEmpty else {
            throw HypervisorError(
                .system,
                "cannot tell where the hypervisor's socket is: XDG_RUNTIME_DIR is not set; set it, "
                    + "or name the socket in ROOST_SOCKET")
        }
        return try HypervisorLocation(directory: "\(folder)/roost")
    }

    /// Makes the folder, for this user alone, where it is missing.
    ///
    /// - Throws: `HypervisorError` of kind `system`.
    func makeDirectory() throws(HypervisorError) {
        let result = unsafe mkdir(directory, 0o700)
        let failure = Errno(rawValue: errno)
        guard result == 0 || failure == .fileExists else {
            throw HypervisorError(
                .system, errno: failure,
                "cannot make the folder \(directory) for the hypervisor's sockets: \(failure); "
                    + "make it, or name another socket in ROOST_SOCKET")
        }
    }
}
