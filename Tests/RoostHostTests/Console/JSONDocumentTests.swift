import RoostHost
import Testing

@Suite struct JSONDocumentTests {
    private struct Value: Encodable {
        var apple = 1
        var path = "/dev/vda"
    }

    private struct Nothing: Encodable {}

    @Test("version and kind come first, then the value's keys sorted")
    func lines() throws {
        #expect(
            try JSONDocument.text(Value(), as: "disk.list") == """
                {
                  "version" : 1,
                  "document" : "disk.list",
                  "apple" : 1,
                  "path" : "/dev/vda"
                }
                """)
        #expect(
            try JSONDocument.line(Value(), as: "net.trace")
                == #"{"version":1,"document":"net.trace","apple":1,"path":"/dev/vda"}"#)
    }

    @Test("a value that says nothing is a document all the same")
    func empty() throws {
        #expect(
            try JSONDocument.text(Nothing(), as: "a.b")
                == "{\n  \"version\" : 1,\n  \"document\" : \"a.b\"\n}")
        #expect(try JSONDocument.line(Nothing(), as: "a.b") == #"{"version":1,"document":"a.b"}"#)
    }

    @Test("a failure quotes its sentence")
    func failure() {
        #expect(
            JSONDocument.failure(#"no disk "web1""#, exitCode: 1)
                == #"{"version":1,"document":"error","error":"no disk \"web1\"","exitCode":1}"#)
    }

    @Test("a list is no document")
    func list() async {
        await #expect(processExitsWith: .failure) {
            _ = try JSONDocument.text([1, 2], as: "a.b")
        }
    }
}
