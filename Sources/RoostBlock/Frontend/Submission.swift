/// A caller's request on its way to a queue, or back from one whose backend was lost.
struct Submission: Sendable {
    let operation: DiskOperation
    /// The first sector, in units of 512 bytes.
    let sector: UInt64
    let byteCount: UInt64
    /// What its caller is known by.
    let token: UInt64
    /// Where its bytes lie: most have one place, which needs no array.
    private let first: BufferPiece
    private let others: [BufferPiece]
    let pieceCount: Int

    init(
        operation: DiskOperation, sector: UInt64, byteCount: UInt64, token: UInt64,
        pieces: [BufferPiece]
    ) {
        self.operation = operation
        self.sector = sector
        self.byteCount = byteCount
        self.token = token
        first = pieces.first ?? BufferPiece(offset: 0, byteCount: 0)
        others = pieces.count > 1 ? Array(pieces.dropFirst()) : []
        pieceCount = pieces.count
    }

    /// A caller's request, whose bytes are in buffers.
    init(
        operation: DiskOperation, sector: UInt64, byteCount: UInt64, token: UInt64,
        slices: [BlockBufferSlice]
    ) {
        self.operation = operation
        self.sector = sector
        self.byteCount = byteCount
        self.token = token
        first = slices.first?.piece ?? BufferPiece(offset: 0, byteCount: 0)
        others = slices.count > 1 ? slices.dropFirst().map(\.piece) : []
        pieceCount = slices.count
    }

    /// One of the places of its bytes.
    borrowing func piece(_ number: Int) -> BufferPiece {
        number == 0 ? first : others[number - 1]
    }
}
