/// Something that QEMU tells without being asked.
package struct QMPEvent: Equatable, Sendable {
    /// The event's name, such as `MIGRATION`.
    package let name: String
    /// What it carries; an empty object for most.
    package let data: JSONValue
}

/// One line of a QEMU monitor (QMP specification, sections 2.2 to 2.5).
enum QMPMessage: Equatable {
    /// The first line of a connection, with the monitor's version.
    case greeting(version: String)
    case event(QMPEvent)
    case success(id: UInt64, JSONValue)
    case refusal(id: UInt64, class: String, description: String)

    /// Reads a line without its end.
    ///
    /// - Returns: The message, or `nil` when the line is not one.
    init?(line: [UInt8]) {
        guard let value = try? JSONValue(json: line), let members = value.object else { return nil }
        if let name = members["event"]?.string {
            self = .event(QMPEvent(name: name, data: members["data"] ?? [:]))
        } else if let greeting = members["QMP"] {
            self = .greeting(version: Self.version(greeting["version"]?["qemu"]))
        } else if let id = members["id"]?.unsignedInteger {
            if let result = members["return"] {
                self = .success(id: id, result)
            } else if let error = members["error"], let text = error["desc"]?.string {
                self = .refusal(
                    id: id, class: error["class"]?.string ?? "GenericError", description: text)
            } else {
                return nil
            }
        } else {
            return nil
        }
    }

    private static func version(_ parts: JSONValue?) -> String {
        ["major", "minor", "micro"].map { name in
            parts?[name]?.unsignedInteger.map(String.init) ?? "?"
        }.joined(separator: ".")
    }
}
