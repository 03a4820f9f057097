internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Finds written pages by asynchronous write protection.
///
/// The kernel remembers the first write to each page, and one call both asks for them and begins
/// anew. The guest never waits.
///
/// Pages that were never touched are covered too; a page that the guest gives back counts as
/// written. Made by ``ProcessGuest/tracker(_:passedOver:)``.
final class AsyncWriteProtectTracker: DirtyTracker {
    private struct Piece {
        let pages: Range<Int>
        let block: GuestBlock
    }

    private struct State: ~Copyable {
        /// Ends when it is let go: the kernel then lets every page be written.
        var protection: WriteProtection?
        var scan: PagemapScan?
        var pieces: [Piece] = []
    }

    let name = TrackerKind.asynchronousProtection.rawValue
    private let guest: ProcessGuest
    private let state: Mutex<State>

    init(_ guest: ProcessGuest, _ protection: consuming WriteProtection) {
        self.guest = guest
        state = Mutex(State(protection: protection))
    }

    func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        do throws(MigrationError) {
            try state.withLock { (state) throws(MigrationError) in
                do throws(MemoryError) {
                    state.scan = try PagemapScan.make(guest.pagemap)
                } catch {
                    throw MigrationError(.transfer, errno: error.errno, error.description)
                }
            }
            for block in blocks { try add(block) }
        } catch {
            stop()
            throw error
        }
    }

    func add(_ block: TrackedBlock) throws(MigrationError) {
        let piece = Piece(pages: block.pages, block: try guest.block(block))
        try state.withLock { (state) throws(MigrationError) in
            do throws(Errno) {
                try state.protection?.register(piece.block.addresses(0..<piece.block.byteCount))
                // What was written so far is in the first pass; this protects every page.
                try state.scan?.takeWritten(
                    piece.block.addresses(0..<piece.block.byteCount)
                ) { _ in }
            } catch {
                throw failure(error)
            }
            state.pieces.append(piece)
        }
    }

    func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        try state.withLock { (state) throws(MigrationError) in
            for index in state.pieces.indices {
                let piece = state.pieces[index]
                let base = piece.block.baseAddress
                do throws(Errno) {
                    try state.scan?.takeWritten(
                        piece.block.addresses(0..<piece.block.byteCount)
                    ) { written in
                        let first = Int(written.lowerBound - base) / pageByteCount
                        let count = written.count / pageByteCount
                        let start = piece.pages.lowerBound + first
                        bitmap.mark(start..<start + count)
                    }
                } catch {
                    throw failure(error)
                }
            }
        }
    }

    func stop() {
        state.withLock { state in
            // Before the end, since the guest may still be closing its own copy. It fails for a
            // guest that has ended, of which nothing is left to do.
            for piece in state.pieces {
                try? state.protection?.unregister(
                    piece.block.addresses(0..<piece.block.byteCount))
            }
            state.protection = nil
            state.scan = nil
            state.pieces = []
        }
    }

    private func failure(_ reason: Errno) -> MigrationError {
        if reason == .noSuchProcess || guest.process.handle.hasEnded {
            return guest.process.ended(reason)
        }
        return MigrationError(
            .transfer, errno: reason,
            "cannot track the guest, process \(guest.processID), by asynchronous write "
                + "protection: \(reason); use another tracker")
    }

    deinit {
        stop()
    }
}
