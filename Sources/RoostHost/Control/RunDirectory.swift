internal import Glibc
internal import RoostHypervisor
internal import RoostSystem
internal import SystemPackage

/// The folder in which Roost's commands leave their sockets.
public struct RunDirectory: Hashable, Sendable {
    /// The folder's path.
    public let path: String

    /// Names a folder.
    ///
    /// - Parameter path: Where it is; it need not exist yet.
    public init(_ path: String) {
        self.path = path
    }

    /// The folder for this process's user.
    ///
    /// It is the one that `ROOST_SOCKET` lies in when that is set, else `/run/roost` for root and
    /// `$XDG_RUNTIME_DIR/roost` for others.
    ///
    /// - Parameter environment: The process's environment.
    /// - Returns: The folder, which may not exist yet.
    /// - Throws: `HostError` of kind `control` when nothing says where it is.
    public static func standard(
        environment: [String: String]
    ) throws(HostError) -> RunDirectory {
        do throws(HypervisorError) {
            return RunDirectory(
                try HypervisorLocation.standard(environment: environment).directory)
        } catch {
            throw HostError(.control, errno: error.errno, error.description)
        }
    }

    /// Makes the folder, for this user alone, where it is missing.
    ///
    /// - Throws: `HostError` of kind `control`, also when the folder belongs to a third user, who
    ///   could put sockets of their own in the place of ours.
    func make() throws(HostError) {
        let result = unsafe mkdir(path, 0o700)
        let reason = Errno(rawValue: errno)
        guard result == 0 || reason == .fileExists else {
            throw HostError(
                .control, path: path, errno: reason,
                "cannot make the folder \(path) for Roost's sockets: \(reason); make it, or name "
                    + "a socket elsewhere in ROOST_SOCKET")
        }
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw HostError(
                .control, path: path,
                "\(path) is no folder: remove it, or name a socket elsewhere in ROOST_SOCKET")
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            throw HostError(
                .control, path: path,
                "the folder \(path) belongs to user \(status.st_uid), who could replace Roost's "
                    + "sockets in it: name a socket in a folder of your own in ROOST_SOCKET")
        }
    }

    /// The folder for the journals of moves, which is made with the folder that it lies in.
    ///
    /// - Returns: Its path.
    /// - Throws: `HostError` of kind `control` when there can be none.
    package func movesFolder() throws(HostError) -> String {
        try make()
        return "\(path)/moves"
    }

    /// The control sockets in the folder, by name.
    ///
    /// - Parameter kind: Of which kind; `nil` for all.
    /// - Returns: Whose sockets are there, dead ones too; none when the folder is missing.
    public func names(of kind: ControlName.Kind? = nil) -> [ControlName] {
        SmallFile.names(in: path)
            .compactMap { ControlName(fileName: $0) }
            .filter { kind == nil || $0.kind == kind }
            .sorted()
    }

    /// Where a control socket is.
    ///
    /// - Parameter name: Whose.
    /// - Returns: The socket's path.
    public func socketPath(of name: ControlName) -> String { "\(path)/\(name.fileName)" }
}
