internal import RoostMemory

/// Looks for a stream's description of its devices, `00 │ 06 │ be32 length │ {…}`, in bytes that come
/// in any pieces: each is looked at once.
struct DescriptionSearch {
    /// How many texts that are not all there yet are remembered; device state rarely looks like one.
    private static let unfinishedLimit = 64

    private var position = 1
    /// Texts in braces that go on behind the bytes that have come.
    private var unfinished: [Range<Int>] = []

    /// The next text in braces that is all there, behind an end-of-file mark and its length.
    ///
    /// - Parameter bytes: What has come so far; at least what had at the last call.
    /// - Returns: The text; its item byte stands five bytes before it. `nil` while there is none.
    mutating func next(in bytes: RawSpan) -> Range<Int>? {
        while let index = unfinished.firstIndex(where: { $0.upperBound <= bytes.byteCount }) {
            let text = unfinished.remove(at: index)
            if Self.isClosed(text, in: bytes) { return text }
        }
        while position + 6 <= bytes.byteCount {
            defer { position += 1 }
            guard let text = Self.text(at: position, in: bytes) else { continue }
            guard text.upperBound <= bytes.byteCount else {
                if unfinished.count < Self.unfinishedLimit { unfinished.append(text) }
                continue
            }
            if Self.isClosed(text, in: bytes) { return text }
        }
        return nil
    }

    /// Where a text lies whose item byte stands at a position.
    private static func text(at position: Int, in bytes: RawSpan) -> Range<Int>? {
        guard bytes.loadBigEndian(at: position, as: UInt8.self) == StreamFormat.Item.description,
            bytes.loadBigEndian(at: position - 1, as: UInt8.self) == StreamFormat.Item.endOfFile,
            bytes.loadBigEndian(at: position + 5, as: UInt8.self) == UInt8(ascii: "{")
        else { return nil }
        let count = Int(bytes.loadBigEndian(at: position + 1, as: UInt32.self))
        guard count > 1, count <= StreamFormat.descriptionLimit else { return nil }
        return position + 5..<position + 5 + count
    }

    private static func isClosed(_ text: Range<Int>, in bytes: RawSpan) -> Bool {
        bytes.loadBigEndian(at: text.upperBound - 1, as: UInt8.self) == UInt8(ascii: "}")
    }
}
