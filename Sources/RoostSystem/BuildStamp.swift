internal import CRoost

/// What this program was built from, as `make` wrote it into the linked program.
///
/// Lines of a key and its value: `commit`, `swift`, and `packages` with their versions.
package struct BuildStamp: Sendable, Equatable {
    /// The commit, with `-dirty` where the tree had changes; `nil` when make did not build it.
    package let commit: String?
    /// The compiler's version.
    package let swift: String?
    /// The packages that matter, with their versions.
    package let packages: String?

    /// Reads a stamp's text; what is not there is `nil`.
    init(_ text: String) {
        var values: [Substring: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = String(parts[1]) }
        }
        commit = values["commit"]
        swift = values["swift"]
        packages = values["packages"]
    }

    /// This program's.
    package static let own: BuildStamp = {
        let bytes = (0..<UInt32(CROOST_BUILD_BYTE_COUNT)).map { croost_build_byte($0) }
        return BuildStamp(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
    }()
}

/// The libraries that this process has loaded.
package enum LoadedLibraries {
    /// A library's version, as the name of the file that is mapped tells it.
    ///
    /// - Parameters:
    ///   - name: The library's name, such as `libz`.
    ///   - maps: The text of /proc/self/maps.
    /// - Returns: The version, such as `1.2.13`, or `nil` when no such file is mapped.
    package static func version(
        of name: String, maps: String? = SmallFile.text(of: "/proc/self/maps")
    ) -> String? {
        for line in (maps ?? "").split(separator: "\n") {
            guard let slash = line.lastIndex(of: "/") else { continue }
            let file = line[line.index(after: slash)...]
            guard file.hasPrefix(name + ".so.") else { continue }
            return String(file.dropFirst(name.count + 4).prefix { $0 != " " })
        }
        return nil
    }
}
