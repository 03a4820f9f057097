/// The sections of a stream that have begun, by whose numbers parts are matched.
struct KnownSections {
    private var headers: [UInt32: SectionHeader] = [:]
    /// How many devices saved their state in one piece so far.
    private(set) var fullCount = 0

    /// How many sections have begun.
    var count: Int { headers.count }

    /// The head of the section with a number, or `nil`.
    subscript(id: UInt32) -> SectionHeader? { headers[id] }

    /// Notes a section; a later one of the same number takes its place.
    mutating func append(_ header: SectionHeader) {
        headers[header.id] = header
        if header.kind == .full, !header.isRAM { fullCount += 1 }
    }
}
