public import RoostHypervisor
internal import RoostSystem
internal import Synchronization

/// A guest's end of a disk: requests of any thread in, answers when the backend has done them.
///
/// ``run()`` finds the backend, agrees with it and keeps at it: when the backend or the whole
/// hypervisor goes away, it waits for the next one, grants its pages anew and issues every request
/// that had no answer again, in order. Callers see a delay. Requests that come before the first
/// backend wait as well.
///
/// Requests are spread over queues; each queue is a thread. Requests under way at the same time may
/// be done in any order, as on every disk: wait for an answer before what has to come after it.
public final class BlockFrontend<Domain: HypervisorDomain>: Sendable {
    /// A guest's domain, and its device's folder in the store.
    public struct Attachment: Sendable {
        /// The domain.
        public let domain: Domain
        /// The folder, which names the backend's.
        public let path: StorePath

        /// Names a device.
        public init(domain: Domain, path: StorePath) {
            self.domain = domain
            self.path = path
        }
    }

    /// Waits for a hypervisor and a backend, and sees to it that the device's nodes are there.
    public typealias Attach = @Sendable () async throws -> Attachment

    let options: FrontendOptions
    let attach: Attach
    let arena: BufferArena
    let lanes: [FrontendLane]
    private let turn = Atomic<Int>(0)
    let state: Mutex<FrontendState>

    /// Makes a disk that is not connected.
    ///
    /// - Parameters:
    ///   - options: What to ask for.
    ///   - attach: Is called for the first connection, and for each after one that was lost.
    /// - Throws: `BlockError` of kind `request` or `system`.
    public init(_ options: FrontendOptions = FrontendOptions(), attach: @escaping Attach)
        throws(BlockError)
    {
        try options.check()
        self.options = options
        self.attach = attach
        arena = try BufferArena()
        lanes = (0..<options.queueCount).map { FrontendLane(number: $0, depth: options.depth) }
        state = Mutex(FrontendState())
    }

    // MARK: Callers

    /// Makes memory to write from and read into.
    ///
    /// - Parameter byteCount: How many bytes, at least one.
    /// - Returns: Zeros.
    /// - Throws: `BlockError` of kind `request` or `system`.
    public func makeBuffer(byteCount: Int) throws(BlockError) -> BlockBuffer {
        try BlockBuffer(in: arena, byteCount: byteCount)
    }

    /// Hands a request over, in callback form.
    ///
    /// - Parameters:
    ///   - operation: What to do.
    ///   - offset: The first byte on the disk, a multiple of its logical sector.
    ///   - byteCount: How many bytes, a multiple as well; 0 for a flush.
    ///   - slices: Where the bytes are or go, in order: as many in all, none for a flush or a
    ///     discard. At most 64, of this frontend's buffers, any offset and length.
    ///   - answer: Is told how the request ended, once, on a thread of the disk: it does not block. It may
    ///     hand over the next request, which then wakes nobody.
    /// - Returns: Whether there was room. If not, nothing happens; try again after an answer.
    /// - Throws: `BlockError` of kind `request` for what no disk, or not this one, can do.
    public func submit(
        _ operation: DiskOperation, at offset: UInt64, byteCount: UInt64,
        slices: [BlockBufferSlice] = [],
        answer: @escaping @Sendable (Result<Void, BlockError>) -> Void
    ) throws(BlockError) -> Bool {
        try check(operation, offset, byteCount, slices)
        return lane().submit(
            operation, sector: offset / UInt64(sectorByteCount), byteCount: byteCount,
            slices: slices, answer: answer)
    }

    func lane() -> FrontendLane {
        guard lanes.count > 1 else { return lanes[0] }
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return lanes[Int(UInt(bitPattern: turn) % UInt(lanes.count))]
    }

    func check(
        _ operation: DiskOperation, _ offset: UInt64, _ byteCount: UInt64,
        _ slices: [BlockBufferSlice]
    ) throws(BlockError) {
        let total = slices.reduce(0) { $0 + UInt64($1.range.count) }
        guard total == (operation.hasData ? byteCount : 0),
            slices.count <= OperationTable.maximumPieceCount,
            slices.allSatisfy({ $0.buffer.arena === arena && !$0.range.isEmpty })
        else {
            throw BlockError(
                .request, sector: offset / UInt64(sectorByteCount),
                "a request of \(byteCount) bytes has \(total) bytes in \(slices.count) buffers: give "
                    + "as many, in at most \(OperationTable.maximumPieceCount) buffers of this disk"
            )
        }
        guard operation != .flush || byteCount == 0 else {
            throw BlockError(.request, "a flush has no bytes: give 0")
        }
        let geometry = state.withLock { $0.geometry } ?? .unknown
        try geometry.check(operation, offset: offset, byteCount: byteCount)
    }

    /// Hands a request over and waits for its end.
    ///
    /// - Parameters:
    ///   - operation: What to do.
    ///   - offset: The first byte on the disk, a multiple of its logical sector.
    ///   - byteCount: How many bytes, a multiple as well; 0 for a flush.
    ///   - slices: Where the bytes are or go, in order.
    /// - Throws: `BlockError` of kind `request`, `storage`, `unsupported`, `peer` or `closed`.
    public func perform(
        _ operation: DiskOperation, at offset: UInt64 = 0, byteCount: UInt64 = 0,
        slices: [BlockBufferSlice] = []
    ) async throws(BlockError) {
        try check(operation, offset, byteCount, slices)
        let lane = lane()
        let result = await withCheckedContinuation { continuation in
            submit(operation, offset, byteCount, slices, to: lane, continuation)
        }
        try result.get()
    }

    /// Hands a request over as soon as there is room.
    private func submit(
        _ operation: DiskOperation, _ offset: UInt64, _ byteCount: UInt64,
        _ slices: [BlockBufferSlice], to lane: FrontendLane,
        _ continuation: CheckedContinuation<Result<Void, BlockError>, Never>
    ) {
        let isTaken = lane.submit(
            operation, sector: offset / UInt64(sectorByteCount), byteCount: byteCount,
            slices: slices
        ) { continuation.resume(returning: $0) }
        guard !isTaken else { return }
        lane.whenRoom { [self] in
            submit(operation, offset, byteCount, slices, to: lane, continuation)
        }
    }

    /// Reads bytes into a buffer.
    ///
    /// - Parameters:
    ///   - offset: The first byte on the disk, a multiple of its logical sector.
    ///   - slice: Where to; its length is a multiple as well.
    /// - Throws: `BlockError` as ``perform(_:at:byteCount:slices:)``.
    public func read(at offset: UInt64, into slice: BlockBufferSlice) async throws(BlockError) {
        try await perform(
            .read, at: offset, byteCount: UInt64(slice.range.count), slices: [slice])
    }

    /// Writes the bytes of a buffer.
    ///
    /// - Parameters:
    ///   - slice: The bytes; their number is a multiple of the disk's logical sector.
    ///   - offset: Where they go on the disk, a multiple as well.
    /// - Throws: `BlockError` as ``perform(_:at:byteCount:slices:)``.
    public func write(_ slice: BlockBufferSlice, at offset: UInt64) async throws(BlockError) {
        try await perform(
            .write, at: offset, byteCount: UInt64(slice.range.count), slices: [slice])
    }

    /// Makes durable all that was written before.
    ///
    /// - Throws: `BlockError` as ``perform(_:at:byteCount:slices:)``.
    public func flush() async throws(BlockError) {
        try await perform(.flush)
    }

    /// Gives bytes up; what they read as from then on is the disk's choice.
    ///
    /// - Parameters:
    ///   - range: Which, in multiples of the disk's logical sector.
    ///   - isSecure: Whether nobody may find what they held.
    /// - Throws: `BlockError` as ``perform(_:at:byteCount:slices:)``.
    public func discard(
        _ range: Range<UInt64>, isSecure: Bool = false
    ) async throws(BlockError) {
        try await perform(
            isSecure ? .secureDiscard : .discard, at: range.lowerBound,
            byteCount: range.upperBound - range.lowerBound)
    }
}
