import Foundation

/// The schemas of what `--json` prints, as docs/schemas has them.
package enum DocumentSchemas {
    /// The repository's folder.
    package static let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    private static let folder = "\(repository)/docs/schemas"

    /// The kinds of document that have a schema.
    package static func kinds() throws -> Set<String> {
        Set(
            try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) })
    }

    /// What is wrong with schemas and with documents, one line each, for python3-jsonschema.
    ///
    /// A document is held against the schema of the kind that it names.
    private static let program = """
        import json, os, sys
        from jsonschema import Draft202012Validator as Validator
        folder = sys.argv[1]
        schemas = {}
        for name in sorted(os.listdir(folder)):
            kind = name[:-5]
            try:
                schema = json.load(open(os.path.join(folder, name)))
                Validator.check_schema(schema)
                assert schema['properties']['version'] == {'const': 1}, 'no version 1'
                assert schema['properties']['document'] == {'const': kind}, 'another kind'
                assert schema.get('additionalProperties') is False, 'lets other keys pass'
                assert {'version', 'document'} <= set(schema['required']), 'asks for no kind'
                schemas[kind] = schema
            except Exception as error:
                print('schema', kind + ':', str(error).splitlines()[0])
        for line in open(sys.argv[2]):
            name, text = json.loads(line)
            try:
                document = json.loads(text)
                kind = document['document']
                for fault in Validator(schemas[kind]).iter_errors(document):
                    print(name + ':', fault.json_path, fault.message[:300])
            except Exception as error:
                print(name + ':', type(error).__name__, error, text[:300])
        """

    /// Holds documents against their schemas, and the schemas against the rules for schemas.
    ///
    /// - Parameter documents: Each with a name for messages.
    /// - Returns: What is wrong; nothing when all is well.
    /// - Throws: `LabError` when python3-jsonschema is missing.
    package static func faults(
        in documents: [(name: String, text: String)]
    ) async throws -> [String] {
        let own = try TemporaryFolder()
        let encoder = JSONEncoder()
        let lines = try documents.map {
            String(decoding: try encoder.encode([$0.name, $0.text]), as: UTF8.self) + "\n"
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: own.file("documents")))
        // Debian's own interpreter, since others on the path do not see its packages.
        let checker = try ChildProcess(
            "/usr/bin/python3", ["-c", program, folder, own.file("documents")], name: "jsonschema")
        try await checker.succeed()
        return checker.output.split(separator: "\n").map(String.init)
    }
}
