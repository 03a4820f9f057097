internal import Glibc
public import RoostRouter
internal import RoostSystem
internal import SystemPackage
internal import TOMLKit

/// The file that `roost net up` is given: a router's configuration in TOML.
///
/// What stands there: `workers`; a table `[collector]`; tables `[[namespace]]` with `[namespace.limits]`,
/// `[[port]]` and `[[route]]`. Without a `[[namespace]]` there is one, called `default`; ports and
/// routes say theirs in `namespace` where there are several. Keys that mean nothing are refused.
public enum RouterConfigurationFile {
    /// The most bytes of a file: 10,000 ports and routes fit.
    public static let byteLimit = 4 << 20
    /// The name of the namespace where the file has none.
    public static let defaultNamespace = "default"

    /// Reads a file.
    ///
    /// - Parameter path: The file's path.
    /// - Returns: The configuration, which is valid.
    /// - Throws: `HostError` of kind `configuration`: one sentence with the file, the line and the
    ///   key.
    public static func read(_ path: String) throws(HostError) -> RouterConfiguration {
        try parse(try text(of: path), path: path)
    }

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - text: What stands in the file.
    ///   - path: What messages call it.
    /// - Returns: The configuration, which is valid.
    /// - Throws: `HostError` as ``read(_:)``.
    public static func parse(_ text: String, path: String) throws(HostError) -> RouterConfiguration
    {
        let file = ConfigurationText(path: path, text: text)
        var reading = try RouterConfigurationReading(try document(text, path), of: file)
        return try reading.configuration()
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

    private static func text(of path: String) throws(HostError) -> String {
        let bytes: [UInt8]
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly)
            bytes = try file.closeAfter { try read(file) }
        } catch let error as Errno {
            throw HostError(
                .configuration, path: path, errno: error,
                "cannot read \(path): \(error); give a configuration file that exists and that you "
                    + "may read")
        } catch {
            throw HostError(.configuration, path: path, "cannot read \(path): \(error)")
        }
        guard bytes.count <= byteLimit else {
            throw HostError(
                .configuration, path: path,
                "\(path) has more than \(byteLimit) bytes: it is no configuration of a router")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw HostError(.configuration, path: path, "\(path) is no text in UTF-8")
        }
        return text
    }

    /// What is in a file, up to one byte more than it may have.
    private static func read(_ file: FileDescriptor) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= byteLimit {
            let count = try unsafe chunk.withUnsafeMutableBytes { target in
                // SAFETY: the buffer is the array's, held exclusively for the call.
                try unsafe file.read(into: target)
            }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return bytes
    }
}
