internal import Glibc
package import SystemPackage

/// A new folder for this user alone, removed with the files and sockets in it when the value ends.
package struct ScratchFolder: ~Copyable, Sendable {
    /// Where it is: in what TMPDIR names, else in /tmp.
    package let path: String

    /// Makes a folder.
    ///
    /// - Parameter name: What its name begins with.
    /// - Throws: `Errno` of mkdtemp(3).
    package init(named name: String) throws(Errno) {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        var template = Array("\(parent.isEmpty ? "/tmp" : parent)/\(name)-XXXXXX".utf8CString)
        // SAFETY: a text that ends with NUL, whose letters X mkdtemp(3) replaces.
        guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The path of something in it.
    ///
    /// - Parameter name: Its name.
    /// - Returns: The path.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    deinit {
        for name in SmallFile.names(in: path) { unsafe unlink("\(path)/\(name)") }
        try? SmallFile.removeFolder(path)
    }
}
