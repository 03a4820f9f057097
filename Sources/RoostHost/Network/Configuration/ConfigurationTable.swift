internal import TOMLKit

/// A table of a configuration file, whose values are read by key and type.
///
/// Every refusal names the file and the value's place in it: the line where it can be told.
struct ConfigurationTable {
    /// What the table is called in messages, such as `port 2`; empty for the file itself.
    let place: String
    private let table: TOMLTable
    private let file: ConfigurationText
    /// The header that the table stands under and which of those it is, for its lines.
    private let header: ConfigurationText.Header?

    /// Takes a table that may have these keys and no other.
    ///
    /// - Throws: `HostError` for a key that is none of them.
    init(
        _ table: TOMLTable, _ place: String, _ header: ConfigurationText.Header?,
        of file: ConfigurationText, keys: [String]
    ) throws(HostError) {
        self.place = place
        self.table = table
        self.header = header
        self.file = file
        for key in table.keys where !keys.contains(key) {
            throw refusal(
                key, "there is no such key here: use \(keys.joined(separator: ", "))")
        }
    }

    /// A refusal of the value of a key, or of the table.
    func refusal(_ key: String?, _ reason: String) -> HostError {
        file.refusal(header, key, [place, key ?? ""].filter { !$0.isEmpty }, reason)
    }

    /// Whether there is a value.
    func has(_ key: String) -> Bool { table[key] != nil }

    /// A text; nil when there is none.
    func string(_ key: String) throws(HostError) -> String? {
        guard let value = table[key] else { return nil }
        guard let text = value.string else {
            throw mismatch(key, "a text in quotes", value.type)
        }
        return text
    }

    /// A text that must be there.
    func requiredString(_ key: String, _ what: String) throws(HostError) -> String {
        guard let text = try string(key) else {
            throw refusal(key, "is missing: give \(what)")
        }
        return text
    }

    /// A number; nil when there is none.
    func integer(_ key: String) throws(HostError) -> Int? {
        guard let value = table[key] else { return nil }
        guard let number = value.int else { throw mismatch(key, "a whole number", value.type) }
        return number
    }

    /// A number within a range; nil when there is none.
    func integer(_ key: String, _ range: ClosedRange<Int>) throws(HostError) -> Int? {
        guard let number = try integer(key) else { return nil }
        guard range.contains(number) else {
            throw refusal(
                key, "is \(number): give a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Yes or no; nil when there is none.
    func boolean(_ key: String) throws(HostError) -> Bool? {
        guard let value = table[key] else { return nil }
        guard let boolean = value.bool else { throw mismatch(key, "true or false", value.type) }
        return boolean
    }

    /// A list of texts; empty when there is none.
    func strings(_ key: String) throws(HostError) -> [String] {
        var texts: [String] = []
        for value in try elements(key, "a list of texts") {
            guard let text = value.string else {
                throw mismatch(key, "a list of texts in quotes", .array)
            }
            texts.append(text)
        }
        return texts
    }

    /// A table within; nil when there is none.
    func table(
        _ key: String, header name: String, keys: [String]
    ) throws(HostError) -> ConfigurationTable? {
        guard let value = table[key] else { return nil }
        guard let inner = value.table else { throw mismatch(key, "a table", value.type) }
        let place = [place, key].filter { !$0.isEmpty }.joined(separator: ", ")
        return try ConfigurationTable(
            inner, place, ConfigurationText.Header(name: name, index: header?.index ?? 0),
            of: file, keys: keys)
    }

    /// Calls with each table `[[key]]` of the file, which is called by its number.
    ///
    /// - Parameters:
    ///   - key: The tables' name.
    ///   - keys: What may be in one.
    ///   - body: Is given the table and which one it is, from 0.
    /// - Throws: `HostError` for what is no such table, and what the body throws.
    func forEachTable(
        _ key: String, keys: [String],
        _ body: (Int, ConfigurationTable) throws(HostError) -> Void
    ) throws(HostError) {
        guard let value = table[key] else { return }
        let what = "tables under [[\(key)]]"
        guard let array = value.array else { throw mismatch(key, what, value.type) }
        for (index, value) in array.enumerated() {
            guard let inner = value.table else { throw mismatch(key, what, .array) }
            let table = try ConfigurationTable(
                inner, "\(key) \(index + 1)", ConfigurationText.Header(name: key, index: index),
                of: file, keys: keys)
            try body(index, table)
        }
    }

    /// The tables of a list in one value; empty when there is none.
    func inlineTables(_ key: String, keys: [String]) throws(HostError) -> [ConfigurationTable] {
        let what = "a list of tables such as [{ via = \"192.0.2.1\" }]"
        var tables: [ConfigurationTable] = []
        for (index, value) in try elements(key, what).enumerated() {
            guard let inner = value.table else { throw mismatch(key, what, .array) }
            tables.append(
                try ConfigurationTable(
                    inner, "\(place), \(key) \(index + 1)", header, of: file, keys: keys))
        }
        return tables
    }

    private func elements(
        _ key: String, _ what: String
    ) throws(HostError) -> [any TOMLValueConvertible] {
        guard let value = table[key] else { return [] }
        guard let array = value.array else { throw mismatch(key, what, value.type) }
        return array.map { $0 }
    }

    private func mismatch(_ key: String, _ wanted: String, _ type: TOMLType) -> HostError {
        refusal(key, "is of the type \(type): give \(wanted)")
    }
}
