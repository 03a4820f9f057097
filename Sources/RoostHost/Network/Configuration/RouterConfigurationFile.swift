public import RoostRouter
internal import RoostSystem
internal import SystemPackage
internal import TOMLKit

/// The file that `roost net up` is given: a router's configuration in TOML.
///
/// What stands there: `workers`; a table `[collector]`; tables `[[namespace]]` with `[namespace.limits]`,
/// `[[port]]` and `[[route]]`. Without a `[[namespace]]` there is one, called `default`; ports and
/// routes say theirs in `namespace` where there are several. Keys that mean nothing are refused.
public struct RouterConfigurationFile: Sendable {
    /// The most bytes of a file: those of some 600,000 routes.
    public static let byteLimit = 64 << 20
    /// The name of the namespace where the file has none.
    public static let defaultNamespace = "default"

    /// What the file asks for, which is valid.
    public let configuration: RouterConfiguration
    private let places: ConfigurationPlaces

    /// Reads a file without blocking the calling thread.
    ///
    /// - Parameter path: The file's path.
    /// - Returns: What stands there.
    /// - Throws: As ``read(_:)``; `CancellationError` at once when the task is cancelled.
    public static func load(_ path: String) async throws -> RouterConfigurationFile {
        try await onThread("net-file") { stop in
            try read(path, unless: stop)
        }
    }

    /// Reads a file.
    ///
    /// - Parameter path: The file's path.
    /// - Returns: What stands there.
    /// - Throws: `HostError` of kind `configuration`: one sentence with the file, the line and the
    ///   key.
    public static func read(_ path: String) throws(HostError) -> RouterConfigurationFile {
        try read(path, unless: try signal())
    }

    private static func read(
        _ path: String, unless stop: StopSignal
    ) throws(HostError) -> RouterConfigurationFile {
        let text = try ConfigurationInput(path: path, stop: stop).text(limit: byteLimit)
        return try parse(text, path: path) { stop.isRaised }
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - text: What stands in the file.
    ///   - path: What messages call it.
    /// - Returns: What stands there.
    /// - Throws: `HostError` as ``read(_:)``.
    public static func parse(
        _ text: String, path: String
    ) throws(HostError) -> RouterConfigurationFile {
        try parse(text, path: path) { false }
    }

    private static func parse(
        _ text: String, path: String, unless isCancelled: @escaping () -> Bool
    ) throws(HostError) -> RouterConfigurationFile {
        let file = ConfigurationText(path: path, text: text)
        var reading = try RouterConfigurationReading(
            try document(text, path), of: file, unless: isCancelled)
        let configuration = try reading.configuration()
        return RouterConfigurationFile(configuration: configuration, places: reading.places)
    }

    private static func document(_ text: String, _ path: String) throws(HostError) -> TOMLTable {
        // The library takes a C string.
        guard !text.utf8.contains(0) else {
            throw HostError(
                .configuration, path: path, "\(path): a byte 0 is in it, so it is no text")
        }
        do {
            return try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw HostError(
                .configuration, path: path,
                "\(path):\(error.source.begin.line): this is not TOML: \(error.description)")
        } catch {
            throw HostError(.configuration, path: path, "\(path): this is not TOML: \(error)")
        }
    }

    // MARK: Starts

    /// Finds what would keep the router from starting here, and opens no device.
    ///
    /// - Returns: What the file comes to, and what is to be known besides.
    /// - Throws: `HostError` as ``read(_:)``, or `RouterError` for what is not about the file;
    ///   `CancellationError` when the task is cancelled.
    public func check() async throws -> NetworkCheck {
        let configuration = configuration
        do {
            let notes = try await Self.onThread("net-check") { stop in
                try Router.check(configuration) { stop.isRaised }
            }
            return NetworkCheck(configuration, file: places.file.path, notes: notes)
        } catch let error as RouterError {
            throw explained(error)
        }
    }

    /// A failure of the router with the line and key of what asked for it, where there is one.
    ///
    /// - Parameter error: The failure.
    /// - Returns: A `HostError`, or the failure as it was.
    public func explained(_ error: RouterError) -> any Error {
        error.fault.map { places.refusal($0) } ?? error
    }

    /// Runs something on a thread of its own that a cancelled task does not wait for.
    private static func onThread<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (StopSignal) throws -> Value
    ) async throws -> Value {
        let stop = try signal()
        let result = try await withTaskCancellationHandler {
            try await DedicatedThread.result(name: name, stackByteCount: 8 << 20) {
                () throws(any Error) in try body(stop)
            }
        } onCancel: {
            stop.raise()
        }
        try Task.checkCancellation()
        return try result.get()
    }

    private static func signal() throws(HostError) -> StopSignal {
        do throws(Errno) {
            return try StopSignal()
        } catch {
            throw HostError(
                .configuration, errno: error,
                "cannot make a signal to stop by: \(error); raise the limit on open files "
                    + "(ulimit -n)")
        }
    }
}
