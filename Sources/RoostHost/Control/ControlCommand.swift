internal import FoundationEssentials

/// Something that a control socket can be asked to do, by `POST /v1/<kind>/<name>`.
public struct ControlCommand: Sendable {
    /// The last part of the route.
    let name: String
    /// Takes the request's JSON and returns the answer's.
    let perform: @Sendable ([UInt8]) async throws -> [UInt8]
    /// Called when the answer is on its way.
    let afterwards: @Sendable () -> Void

    /// Describes a command with an argument.
    ///
    /// - Parameters:
    ///   - name: The last part of its route, such as `resize`.
    ///   - argument: What the request's JSON holds.
    ///   - afterwards: Called when the answer has been written: what ends the server belongs here.
    ///   - perform: Does it and answers; what it throws is told to the caller, one sentence.
    public init<Argument: Decodable & SendableMetatype, Answer: Encodable & Sendable>(
        _ name: String, taking argument: Argument.Type,
        afterwards: @escaping @Sendable () -> Void = {},
        perform: @escaping @Sendable (Argument) async throws -> Answer
    ) {
        self.name = name
        self.afterwards = afterwards
        self.perform = { bytes in
            let argument: Argument
            do {
                argument = try ControlJSON.decode(
                    Argument.self, bytes.isEmpty ? [123, 125] : bytes)
            } catch {
                throw ControlRefusal(
                    "the command \(name) cannot read what it was sent: \(ControlJSON.reason(error))"
                )
            }
            return try ControlJSON.encode(await perform(argument))
        }
    }

    /// The command `stop`, which is answered before it is carried out.
    ///
    /// - Parameter stop: Begins the end.
    /// - Returns: The command.
    public static func stop(_ stop: @escaping @Sendable () -> Void) -> ControlCommand {
        ControlCommand("stop", taking: ControlNothing.self, afterwards: stop) { _ in
            ControlNothing()
        }
    }
}

/// An argument or answer that says nothing: `{}`.
public struct ControlNothing: Codable, Sendable, Equatable {
    /// Makes one.
    public init() {}
}

/// Why a control socket did not do what it was asked, as its JSON says it.
struct ControlRefusal: Error, Codable, CustomStringConvertible {
    let error: String

    init(_ error: String) {
        self.error = error
    }

    var description: String { error }
}

/// JSON as control sockets speak it.
enum ControlJSON {
    static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// What is wrong with a JSON text, in a few words.
    static func reason(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "it is no JSON" }
        switch error {
        case .keyNotFound(let key, _): return "'\(key.stringValue)' is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            let path = context.codingPath.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }
            return "'\(path.joined(separator: "."))' is of another type"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is no JSON" : "'\(context.codingPath.last?.stringValue ?? "")' is not right"
        @unknown default: return "it is not what was expected"
        }
    }
}
