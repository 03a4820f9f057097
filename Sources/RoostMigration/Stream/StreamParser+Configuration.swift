internal import RoostMemory

extension StreamParser {
    /// The item behind the file header: CONFIGURATION, or an old machine type's first section.
    ///
    ///     07 │ be32 length │ machine type │ { 05 │ u8 length, name │ be32 version │ body }
    mutating func firstItem<Handler: StreamHandler & ~Copyable>(
        _ bytes: RawSpan, at position: inout Int, into handler: inout Handler
    ) throws(MigrationError) -> Int {
        let available = bytes.byteCount - position
        guard available > 0 else { return 1 }
        guard
            bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.configuration
        else {
            state = .item
            return 0
        }
        guard available >= 5 else { return 5 }
        let count = bytes.loadBigEndian(at: position + 1, as: UInt32.self)
        guard count <= StreamFormat.machineTypeLimit else {
            throw limit("a machine type of \(count) bytes")
        }
        var end = position + 5 + Int(count)
        guard bytes.byteCount >= end else { return end - position }
        let machineType = String(bytes, from: position + 5, count: Int(count))
        var capabilities: [String] = []
        var uuid: String?
        var parts: [String] = []
        while true {
            guard bytes.byteCount > end else { return end - position + 1 }
            guard bytes.loadBigEndian(at: end, as: UInt8.self) == StreamFormat.Item.subsection
            else { break }
            var cursor = SpanCursor(bytes, at: end + 1)
            guard let nameCount = cursor.read(UInt8.self),
                let name = cursor.readText(Int(nameCount)), cursor.read(UInt32.self) != nil
            else { return cursor.needed - position }
            // Each is known and comes once, so the whole item stays far below `longestItem`.
            guard !parts.contains(name) else {
                throw malformed("part \(name) of CONFIGURATION comes twice")
            }
            parts.append(name)
            switch name {
            case "configuration/target-page-bits":
                guard let bits = cursor.read(UInt32.self) else { return cursor.needed - position }
                guard bits == 12 else {
                    throw unsupported(
                        bits < 32
                            ? Self.pageSizeText(1 << Int(bits))
                            : "the target has pages of 2^\(bits) bytes, which no target has: the "
                                + "stream is damaged")
                }
            case "configuration/capabilities":
                guard let number = cursor.read(UInt32.self) else { return cursor.needed - position }
                guard number <= StreamFormat.capabilityLimit else {
                    throw limit("\(number) capabilities")
                }
                for _ in 0..<number {
                    guard let count = cursor.read(UInt8.self),
                        let capability = cursor.readText(Int(count))
                    else { return cursor.needed - position }
                    capabilities.append(capability)
                }
            case "configuration/uuid":
                guard let high = cursor.read(UInt64.self), let low = cursor.read(UInt64.self) else {
                    return cursor.needed - position
                }
                uuid = uuidText(high, low)
            default:
                throw unsupported("unknown part \(name) of CONFIGURATION")
            }
            end = cursor.position
        }
        try check(capabilities)
        let found = StreamConfiguration(
            machineType: machineType, capabilities: capabilities, uuid: uuid)
        configuration = found
        try handler.configured(found, bytes.extracting(position + 1..<end))
        take(end - position, at: &position)
        state = .item
        return 0
    }

    /// Refuses what would change the layout of the stream in a way that is not known here.
    private func check(_ capabilities: [String]) throws(MigrationError) {
        for capability in capabilities where capability != "x-ignore-shared" {
            guard capability != "mapped-ram" else {
                throw unsupported(
                    "this is a mapped-ram file, whose pages lie at fixed offsets: save the guest "
                        + "with the mapped-ram capability off")
            }
            throw unsupported(
                "the stream needs capability \(capability), which is not known here: save the "
                    + "guest with it off")
        }
    }

    private func uuidText(_ high: UInt64, _ low: UInt64) -> String {
        let digits = [high, low].map { half in
            let text = hex(half)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return text
    }
}
