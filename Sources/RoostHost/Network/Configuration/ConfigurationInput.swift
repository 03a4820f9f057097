internal import RoostSystem
internal import SystemPackage

/// Reads a configuration file, or a pipe that one comes by, until the caller no longer wants it.
struct ConfigurationInput {
    /// The file's path.
    let path: String
    /// Ends the reading.
    let stop: StopSignal

    /// The file's text.
    ///
    /// - Parameter limit: The most bytes that it may have.
    /// - Returns: The text.
    /// - Throws: `HostError` of kind `configuration`, or `cancelled`.
    func text(limit: Int) throws(HostError) -> String {
        let bytes: [UInt8]?
        do {
            // A pipe without a writer would keep open(2) waiting otherwise.
            let file = try FileDescriptor.open(
                FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
            bytes = try file.closeAfter { try read(file, limit) }
        } catch let error as HostError {
            throw error
        } catch {
            throw unreadable(error as? Errno ?? .ioError)
        }
        guard let bytes else {
            throw HostError(
                .configuration, path: path,
                "\(path) has more than \(limit >> 20) MiB, the most that a router's configuration "
                    + "may have: put several routes into one where their prefixes lie side by side, "
                    + "or run several routers")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw HostError(
                .configuration, path: path,
                "\(path) is no text in UTF-8: give a router's configuration in TOML")
        }
        return text
    }

    /// What is in a file; nil when it has more than it may.
    private func read(_ file: FileDescriptor, _ limit: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        while !stop.wait(orReadable: file) {
            let count: Int
            do {
                count = try unsafe chunk.withUnsafeMutableBytes { target in
                    // SAFETY: the buffer is the array's, held exclusively for the call.
                    try unsafe file.read(into: target)
                }
            } catch let error as Errno where error == .wouldBlock {
                continue
            }
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { return nil }
        }
        throw HostError(.cancelled, path: path, "stopped reading \(path)")
    }

    private func unreadable(_ reason: Errno) -> HostError {
        let advice =
            switch reason {
            case .noSuchFileOrDirectory:
                "give a router's configuration, such as the example that comes with Roost, "
                    + "Extras/net/example.toml"
            case .isDirectory: "give the file in it"
            case .permissionDenied, .notPermitted: "let this user read it, or run as one who may"
            case .tooManyOpenFiles: "raise the limit on open files (ulimit -n)"
            default: "see that it is a file that can be read"
            }
        return HostError(
            .configuration, path: path, errno: reason, "cannot read \(path): \(reason); \(advice)")
    }
}
