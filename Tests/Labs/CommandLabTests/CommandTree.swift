import LabSupport
import RoostMigration

/// A command that does something, as the program itself tells: `--experimental-dump-help`.
struct Command: Sendable, CustomStringConvertible {
    /// The words that name it, such as `disk list`.
    let path: [String]
    let options: [Option]

    var description: String { path.joined(separator: " ") }

    /// One of its arguments, options or flags.
    struct Option: Sendable {
        let name: String
        let kind: String
        let isOptional: Bool
        let isShown: Bool
        let defaultValue: String?
        let help: String

        init(_ value: JSONValue) {
            let names = value["names"]?.array ?? []
            name =
                (names.first { $0["kind"]?.string == "long" } ?? names.first)?["name"]?.string
                ?? value["valueName"]?.string ?? "?"
            kind = value["kind"]?.string ?? "?"
            isOptional = value["isOptional"]?.bool ?? false
            isShown = value["shouldDisplay"]?.bool ?? true
            defaultValue = value["defaultValue"]?.string
            help = value["abstract"]?.string ?? ""
        }
    }

    /// Whether it takes a flag or an option.
    func takes(_ name: String) -> Bool { options.contains { $0.name == name } }

    /// Asks the program for all of them.
    static func all() async throws -> [Command] {
        let program = try RoostProgram.start(["--experimental-dump-help"])
        try await program.succeed()
        guard let root = try program.json()["command"] else {
            throw LabError("roost describes no command")
        }
        return leaves(root, [])
    }

    private static func leaves(_ node: JSONValue, _ path: [String]) -> [Command] {
        let children = (node["subcommands"]?.array ?? []).filter {
            $0["commandName"]?.string != "help"
        }
        guard children.isEmpty else {
            return children.flatMap { leaves($0, path + [$0["commandName"]?.string ?? "?"]) }
        }
        return [Command(path: path, options: (node["arguments"]?.array ?? []).map(Option.init))]
    }
}
