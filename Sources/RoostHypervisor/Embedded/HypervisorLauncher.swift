internal import RoostSystem
internal import SystemPackage

/// Connects to the embedded hypervisor, and starts it first where none runs.
///
/// Of several that find none, one starts it: they lock a file beside the socket. The hypervisor is
/// nobody's child, and ends by itself some time after its last domain.
public enum HypervisorLauncher {
    /// How long a hypervisor may take to be ready.
    public static let startLimit = Duration.seconds(15)
    /// How often it is started again when it ends at the moment it is connected to.
    private static let attemptCount = 3

    /// Becomes a domain of the hypervisor at a place.
    ///
    /// - Parameters:
    ///   - location: Where.
    ///   - name: What the domain is called.
    ///   - previous: The number of a domain that is gone, whose successor this one is.
    ///   - isPrivileged: Whether the store's permissions and limits do not hold for it.
    ///   - program: The path of `roost`.
    /// - Returns: The domain.
    /// - Throws: `HypervisorError` of kind `system` when none can be started, or what
    ///   ``EmbeddedDomain`` throws.
    public static func connect(
        at location: HypervisorLocation, name: String, succeeding previous: DomainID? = nil,
        isPrivileged: Bool = false, program: String
    ) async throws(HypervisorError) -> EmbeddedDomain {
        for _ in 1..<attemptCount {
            do throws(HypervisorError) {
                try await ensureRunning(at: location, program: program)
                return try EmbeddedDomain(
                    at: location, name: name, succeeding: previous, isPrivileged: isPrivileged)
            } catch {
                // One that found itself idle may have ended in between.
                guard error.kind == .lost else { throw error }
            }
        }
        try await ensureRunning(at: location, program: program)
        return try EmbeddedDomain(
            at: location, name: name, succeeding: previous, isPrivileged: isPrivileged)
    }

    /// Starts a hypervisor unless one runs; domains can connect then.
    ///
    /// - Parameters:
    ///   - location: Where.
    ///   - program: The path of `roost`.
    /// - Throws: `HypervisorError` of kind `system`.
    public static func ensureRunning(
        at location: HypervisorLocation, program: String
    ) async throws(HypervisorError) {
        let outcome: Result<Void, HypervisorError>
        do throws(SystemError) {
            outcome = try await DedicatedThread.result(name: "launcher") {
                () throws(HypervisorError) in
                try start(at: location, program: program)
            }
        } catch {
            throw HypervisorError(.system, errno: error.errno, error.description)
        }
        try outcome.get()
    }

    /// The arguments of `roost` by which the launcher starts a hypervisor.
    ///
    /// It is to write a byte `R` to the descriptor named last once domains can connect
    /// (``announceReady()``).
    package static func arguments(for location: HypervisorLocation) -> [String] {
        [
            "hypervisor", "--socket", location.socketPath, "--exit-when-idle", "10",
            "--announce-ready",
        ]
    }

    /// Tells the launcher that started this process that domains can connect.
    package static func announceReady() {
        DetachedProgram.announceReady()
    }

    private static func start(
        at location: HypervisorLocation, program: String
    ) throws(HypervisorError) {
        if isRunning(at: location) { return }
        try location.makeDirectory()
        let lock = try refusing(location) { () throws(Errno) in
            try FileLock.take(location.lockPath)
        }
        defer { withExtendedLifetime(lock) {} }
        // Who held the lock may have started one.
        if isRunning(at: location) { return }
        let log = try refusing(location) { () throws(Errno) in try openLog(location.logPath) }
        do throws(SystemError) {
            try DetachedProgram.start(
                program, arguments(for: location), log: log.descriptor, within: startLimit)
        } catch {
            throw HypervisorError(
                .system, errno: error.errno,
                "cannot start a hypervisor: \(error.description); it writes to "
                    + location.logPath)
        }
    }

    /// Does something with a file of the folder.
    private static func refusing<Value: ~Copyable>(
        _ location: HypervisorLocation, _ body: () throws(Errno) -> Value
    ) throws(HypervisorError) -> Value {
        do throws(Errno) {
            return try body()
        } catch {
            throw HypervisorError(
                .system, errno: error,
                "cannot start a hypervisor in \(location.directory): \(error); see that this user "
                    + "may write there, or name another socket in ROOST_SOCKET")
        }
    }

    /// Whether somebody listens.
    private static func isRunning(at location: HypervisorLocation) -> Bool {
        Listener.isListening(at: location.socketPath)
    }

    private static func openLog(_ path: String) throws(Errno) -> OwnedDescriptor {
        do {
            return OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), .writeOnly,
                    options: [.create, .append, .closeOnExec, .noFollow],
                    permissions: .ownerReadWrite))
        } catch {
            throw (error as? Errno) ?? .ioError
        }
    }
}
