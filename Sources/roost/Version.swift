import RoostHost
import RoostSystem

/// What `roost --version` prints.
enum Version {
    /// This release.
    static let number = "0.2.0"

    /// The version, the commit, and what it is built of.
    static var text: String {
        let stamp = BuildStamp.own
        let libraries = [
            ("zlib", "libz"), ("zstd", "libzstd"), ("liburing", "liburing"),
            ("xxHash", "libxxhash"),
        ].map { name, file in
            "\(name) \(LoadedLibraries.version(of: file) ?? "linked in")"
        }
        let all = libraries + ["OpenSSL \(TLSLibrary.version)"]
        return """
            roost \(number)
            commit     \(stamp.commit ?? "unknown")
            Swift      \(stamp.swift ?? "unknown")
            libraries  \(all.joined(separator: ", "))
            packages   \(stamp.packages ?? "unknown")
            """
    }
}
