internal import RoostSystem
internal import SystemPackage

/// A file that `roost` needs and that is no part of it: a plugin, another program.
///
/// A build leaves it beside the program; an installation puts it into `lib/roost` beside the program's
/// folder, as in `/usr/bin/roost` and `/usr/lib/roost`.
public struct CompanionFile: Equatable, Sendable {
    /// Where it is, or where it is looked for first.
    public var path: String
    /// Whether it is there.
    public var isPresent: Bool

    /// Names one.
    public init(path: String, isPresent: Bool) {
        self.path = path
        self.isPresent = isPresent
    }

    /// Looks for a file.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - program: The path of the program that runs.
    init(_ name: String, of program: String) {
        let folder = FilePath(program).removingLastComponent()
        let installed = folder.removingLastComponent().appending("lib").appending("roost")
        let places = [folder, installed].map { $0.appending(name).string }
        let found = places.first { FileFacts(at: $0, followsLinks: true)?.kind == .file }
        path = found ?? places[0]
        isPresent = found != nil
    }

    /// What to do where it is lacking.
    static let remedy = "build it beside roost (make build), or install both (make install)"
}
