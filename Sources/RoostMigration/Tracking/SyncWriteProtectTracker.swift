internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// Finds written pages by synchronous write protection: the guest waits at the first write to a
/// page until a thread here has noted it.
///
/// For kernels before 6.7. Where the guest may not open a userfaultfd that covers the kernel's own
/// writes, a system call of the guest that writes its RAM, such as read(2), fails with EFAULT on a
/// protected page. Made by ``ProcessGuest/tracker(_:passedOver:)``.
final class SyncWriteProtectTracker: DirtyTracker {
    let name = TrackerKind.synchronousProtection.rawValue
    private let guest: ProcessGuest
    private let pending: Mutex<WriteProtection?>
    private let desk = Mutex<FaultDesk?>(nil)

    init(_ guest: ProcessGuest, _ protection: consuming WriteProtection) {
        self.guest = guest
        pending = Mutex(protection)
    }

    func start(_ blocks: [TrackedBlock], memory: MemorySpace) throws(MigrationError) {
        let taken = pending.withLock { $0.take() }
        guard let taken else {
            throw MigrationError(.transfer, "a tracker starts once: make another one")
        }
        let new = try FaultDesk(taken, pageCount: memory.capacity / pageByteCount)
        desk.withLock { $0 = new }
        do throws(MigrationError) {
            for block in blocks { try add(block) }
        } catch {
            stop()
            throw error
        }
    }

    func add(_ block: TrackedBlock) throws(MigrationError) {
        let guestBlock = try guest.block(block)
        guard let desk = desk.withLock({ $0 }) else { return }
        do throws(Errno) {
            try desk.add(block.pages, at: guestBlock.addresses(0..<guestBlock.byteCount))
        } catch {
            throw failure(error)
        }
    }

    func collect(into bitmap: inout DirtyBitmap) throws(MigrationError) {
        guard let desk = desk.withLock({ $0 }) else { return }
        do throws(Errno) {
            try desk.collect(into: &bitmap)
        } catch {
            throw failure(error)
        }
    }

    func stop() {
        pending.withLock { $0 = nil }
        let taken = desk.withLock { desk in
            defer { desk = nil }
            return desk
        }
        taken?.stop()
    }

    private func failure(_ reason: Errno) -> MigrationError {
        if reason == .noSuchProcess || guest.process.handle.hasEnded {
            return guest.process.ended(reason)
        }
        return MigrationError(
            .transfer, errno: reason,
            "cannot track the guest, process \(guest.processID), by synchronous write protection: "
                + "\(reason); use another tracker")
    }

    deinit {
        stop()
    }
}

/// Where the guest's writes are noted while its threads wait: shared by the thread that answers
/// them and the one that collects.
private final class FaultDesk: Sendable {
    private struct Piece {
        let pages: Range<Int>
        let base: UInt64
    }

    private struct Table {
        var pieces: [Piece] = []
        /// What ended the thread before it was told to.
        var failure: Errno?
    }

    /// Words of the bitmap handled in one hold of the lock, so that the guest does not wait long.
    private static let wordsAHold = 64

    private let protection: WriteProtection
    private let marks: AtomicBitmap
    /// Held while a page's mark and its protection change together: were a page collected between
    /// being marked and unprotected, its later writes would go unseen.
    private let table = Mutex(Table())
    private let stopping: StopSignal
    private let ended: StopSignal

    init(
        _ protection: consuming WriteProtection, pageCount: Int
    ) throws(MigrationError) {
        self.protection = protection
        do throws(MemoryError) {
            marks = try AtomicBitmap(bitCount: pageCount)
        } catch {
            throw MigrationError(.transfer, errno: error.errno, error.description)
        }
        do throws(Errno) {
            stopping = try StopSignal()
            ended = try StopSignal()
        } catch {
            throw MigrationError(
                .transfer, errno: error, "cannot make a signal: \(error); raise ulimit -n")
        }
        let failure = DedicatedThread.start(name: "guest-faults") { [self] in
            serve()
            ended.raise()
        }
        if let failure {
            throw MigrationError(.transfer, errno: failure.errno, failure.description)
        }
    }

    func add(_ pages: Range<Int>, at addresses: Range<UInt64>) throws(Errno) {
        try protection.register(addresses)
        table.withLock { $0.pieces.append(Piece(pages: pages, base: addresses.lowerBound)) }
        try protection.protect(addresses)
    }

    /// Answers the guest's threads until told to stop.
    private func serve() {
        while !stopping.wait(orReadable: protection.descriptor) {
            do throws(Errno) {
                while let address = try protection.nextFault() { try note(address) }
            } catch {
                table.withLock { $0.failure = error }
                return
            }
        }
    }

    private func note(_ address: UInt64) throws(Errno) {
        let page = address & ~UInt64(pageByteCount - 1)
        try table.withLock { (table) throws(Errno) in
            for piece in table.pieces where page >= piece.base {
                let index = Int((page - piece.base) / UInt64(pageByteCount))
                guard index < piece.pages.count else { continue }
                let bit = piece.pages.lowerBound + index
                marks.set(bit..<bit + 1)
                break
            }
            try protection.unprotect(page..<page + UInt64(pageByteCount))
        }
    }

    func collect(into bitmap: inout DirtyBitmap) throws(Errno) {
        var word = 0
        let end = min(marks.wordCount, (bitmap.pageCount + 63) / 64)
        while word < end {
            let words = word..<min(word + Self.wordsAHold, end)
            try table.withLock { (table) throws(Errno) in
                if let failure = table.failure { throw failure }
                for index in words {
                    let bits = marks.take(word: index)
                    guard bits != 0 else { continue }
                    bitmap.mark(bits: bits, word: index)
                    try protect(bits, index * 64, table.pieces)
                }
            }
            word = words.upperBound
        }
    }

    /// Protects the pages of a word again, one call for each run of them.
    private func protect(_ bits: UInt64, _ first: Int, _ pieces: [Piece]) throws(Errno) {
        for piece in pieces where piece.pages.overlaps(first..<first + 64) {
            var rest = bits
            while rest != 0 {
                let start = rest.trailingZeroBitCount
                let count = (~(rest >> UInt64(start))).trailingZeroBitCount
                let run = (first + start..<first + start + count).clamped(to: piece.pages)
                if !run.isEmpty {
                    let offset = UInt64((run.lowerBound - piece.pages.lowerBound) * pageByteCount)
                    let start = piece.base + offset
                    try protection.protect(start..<start + UInt64(run.count * pageByteCount))
                }
                rest &= start + count >= 64 ? 0 : ~0 << UInt64(start + count)
            }
        }
    }

    /// Lets every page be written, and the guest's threads go on.
    func stop() {
        stopping.raise()
        _ = ended.wait()
        for piece in table.withLock({ $0.pieces }) {
            let end = piece.base + UInt64(piece.pages.count * pageByteCount)
            // Fails for a guest that has ended, which waits no more.
            try? protection.unregister(piece.base..<end)
        }
    }
}
