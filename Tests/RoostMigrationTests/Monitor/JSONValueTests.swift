import RoostMigration
import Testing

@Suite struct JSONValueTests {
    @Test(
        "A value is written and read back exactly",
        arguments: [
            (JSONValue.null, "null"), (true, "true"), (0, "0"), (-1, "-1"),
            (.integer(.max), "9223372036854775807"), (.integer(.min), "-9223372036854775808"),
            (JSONValue(UInt64(1) << 63), "9223372036854775808"),
            (JSONValue(UInt64.max), "18446744073709551615"), (1.5, "1.5"),
            ("", #""""#), ("a/\"\n\u{1F600}", "\"a/\\\"\\n\u{1F600}\""), ([], "[]"), ([:], "{}"),
            (["b": [1, [:]], "a": .null], #"{"a":null,"b":[1,{}]}"#),
        ] as [(JSONValue, String)])
    func roundTrip(value: JSONValue, text: String) throws {
        #expect(String(decoding: try value.json(), as: UTF8.self) == text)
        #expect(try JSONValue(json: text.utf8) == value)
    }

    @Test("The same integer is the same value however it was made")
    func canonical() throws {
        #expect(JSONValue(UInt64(5)) == .integer(5))
        #expect(JSONValue(UInt64(Int64.max)) == .integer(.max))
        #expect(try JSONValue(json: "5".utf8).unsignedInteger == 5)
        #expect(try JSONValue(json: "-5".utf8).unsignedInteger == nil)
        #expect(JSONValue(UInt64.max).signedInteger == nil)
        #expect(JSONValue.string("5").unsignedInteger == nil)
    }

    @Test(
        "What is no JSON throws",
        arguments: [
            "", " ", "{", "}", "[1,", "nul", "{\"a\":}", "'a'", "01", "\u{FEFF}\u{0}",
            String(repeating: "[", count: 100_000),
        ])
    func refuses(text: String) {
        #expect(throws: (any Error).self) { try JSONValue(json: text.utf8) }
    }

    @Test("Any bytes give a value or an error", arguments: UInt64(0)..<64)
    func anyBytes(seed: UInt64) {
        var state = seed
        var bytes: [UInt8] = []
        let alphabet = Array(#"{}[]",:0123456789eE+-.\utrfalsn "#.utf8) + [0, 0x80, 0xFF]
        for _ in 0..<200 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes.append(alphabet[Int(state >> 33) % alphabet.count])
        }
        for end in 0...bytes.count {
            _ = try? JSONValue(json: bytes[..<end])
        }
    }
}
