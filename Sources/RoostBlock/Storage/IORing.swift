internal import CUring
internal import Glibc
internal import SystemPackage

/// Rings through which the kernel is given work on files and says what became of it.
///
/// That is io_uring(7), through liburing, which no other file sees. It is made, used and ended by one thread. What was staged and not finished is waited for at its
/// end, because the kernel writes into the memory of a request until then.
@safe
internal struct IORing: ~Copyable {
    /// The most requests that a ring can be made for (Linux io_uring/io_uring.h:
    /// IORING_MAX_ENTRIES).
    static let maximumDepth = 32_768

    /// What the kernel is asked for.
    struct Work {
        /// The kind.
        var kind: Kind
        /// Where in the file, in bytes.
        var offset: UInt64 = 0
        /// The address of the memory, or of the vectors.
        var address: UInt64 = 0
        /// The length of the memory or the file's range in bytes, or how many vectors.
        var count: UInt64 = 0
        /// What the result is known by.
        var token: UInt64
    }

    /// The kinds of work.
    enum Kind {
        /// Nothing: comes back at once with 0.
        case nothing
        case read, write
        /// The address is that of vectors, of the layout of `struct iovec`.
        case readVectors, writeVectors
        /// fdatasync(2).
        case synchronizeData
        /// fallocate(2) with FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE.
        case punchHole
    }

    /// What became of a piece of work.
    struct Result {
        /// The token it was staged with.
        var token: UInt64
        /// What the system call would have answered: a count, or a negated errno.
        var code: Int32
    }

    // SAFETY: allocated in `make`, set up by io_uring_queue_init, released in deinit; the fields
    // are the kernel's and liburing's.
    private let ring: UnsafeMutablePointer<io_uring>
    /// What was staged and whose result was not taken yet.
    private(set) var underWay = 0

    private init(_ ring: UnsafeMutablePointer<io_uring>) {
        unsafe self.ring = ring
    }

    /// Sets a ring up.
    ///
    /// - Parameter depth: How many pieces of work can be under way at once.
    /// - Returns: The ring.
    /// - Throws: `Errno` of io_uring_setup(2).
    static func make(depth: Int) throws(Errno) -> IORing {
        precondition(depth > 0 && depth <= maximumDepth)
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        // SAFETY: one `io_uring`, written before it is read.
        unsafe ring.initialize(to: io_uring())
        // Nobody preempts this thread to say that work is done: it is told when it next enters the
        // kernel, which it does at once when it sleeps. Kernels before 5.19 do not know the flag.
        var result = unsafe io_uring_queue_init(
            UInt32(depth), ring, IORING_SETUP_COOP_TASKRUN)
        if result == -EINVAL {
            result = unsafe io_uring_queue_init(UInt32(depth), ring, 0)
        }
        guard result == 0 else {
            unsafe ring.deallocate()
            throw Errno(rawValue: -result)
        }
        return unsafe IORing(ring)
    }

    /// Readable while results wait to be taken, for poll(2): the ring's own descriptor.
    var descriptor: FileDescriptor { FileDescriptor(rawValue: unsafe ring.pointee.ring_fd) }

    /// How much was staged and not handed to the kernel yet.
    var stagedCount: Int { Int(unsafe io_uring_sq_ready(ring)) }

    /// Puts work where the kernel will find it at the next ``submit()``.
    ///
    /// - Parameters:
    ///   - work: What to do; its memory stays valid until the result was taken.
    ///   - file: The file.
    /// - Precondition: No more than the ring's depth is under way.
    mutating func stage(_ work: Work, on file: FileDescriptor) {
        // SAFETY: liburing answers an entry of its own ring, or nothing when all are staged.
        guard let entry = unsafe io_uring_get_sqe(ring) else {
            preconditionFailure("more requests under way than the ring is deep")
        }
        // SAFETY: the entry is filled in whole by each of these; nothing is read at the address
        // here, and the kernel checks it.
        switch work.kind {
        case .nothing: unsafe io_uring_prep_nop(entry)
        case .synchronizeData:
            unsafe io_uring_prep_fsync(entry, file.rawValue, IORING_FSYNC_DATASYNC)
        case .read: unsafe Self.prepare(entry, IORING_OP_READ, work, file)
        case .write: unsafe Self.prepare(entry, IORING_OP_WRITE, work, file)
        case .readVectors: unsafe Self.prepare(entry, IORING_OP_READV, work, file)
        case .writeVectors: unsafe Self.prepare(entry, IORING_OP_WRITEV, work, file)
        case .punchHole:
            // The entry has the mode where others have the count, and the length in the address
            // (io_uring_enter(2), IORING_OP_FALLOCATE).
            var hole = work
            hole.count = UInt64(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
            hole.address = work.count
            unsafe Self.prepare(entry, IORING_OP_FALLOCATE, hole, file)
        }
        unsafe entry.pointee.user_data = work.token
        underWay &+= 1
    }

    private static func prepare(
        _ entry: UnsafeMutablePointer<io_uring_sqe>, _ operation: io_uring_op, _ work: Work,
        _ file: FileDescriptor
    ) {
        // SAFETY: as in `stage`.
        unsafe io_uring_prep_rw(
            Int32(truncatingIfNeeded: operation.rawValue), entry, file.rawValue,
            UnsafeRawPointer(bitPattern: UInt(work.address)),
            UInt32(truncatingIfNeeded: work.count), work.offset)
    }

    /// Hands the kernel what was staged.
    ///
    /// - Returns: How many pieces it took, or a negated errno of io_uring_enter(2).
    func submit() -> Int32 { unsafe io_uring_submit(ring) }

    /// Takes back what was staged last and the kernel has not taken.
    ///
    /// - Returns: Its token, or `nil` when the kernel has taken everything.
    mutating func withdraw() -> UInt64? {
        // SAFETY: the pointers are those of the mapped ring. Without IORING_SETUP_SQPOLL the kernel
        // reads the tail only inside io_uring_enter(2), and only this thread calls that.
        let head = unsafe ring.pointee.sq.khead.pointee
        let tail = unsafe ring.pointee.sq.sqe_tail
        guard head != tail else { return nil }
        let last = tail &- 1
        let index = Int(last & (unsafe ring.pointee.sq.ring_mask))
        let token = unsafe ring.pointee.sq.sqes[index].user_data
        unsafe ring.pointee.sq.sqe_tail = last
        unsafe ring.pointee.sq.sqe_head = last
        unsafe ring.pointee.sq.ktail.pointee = last
        underWay &-= 1
        return token
    }

    /// Takes one result, without waiting and without a system call.
    mutating func takeResult() -> Result? {
        var completed: UnsafeMutablePointer<io_uring_cqe>?
        guard unsafe io_uring_peek_cqe(ring, &completed) == 0, let entry = unsafe completed else {
            return nil
        }
        // SAFETY: the entry is the ring's, valid until it is marked as seen.
        let result = Result(
            token: unsafe entry.pointee.user_data, code: unsafe entry.pointee.res)
        unsafe io_uring_cqe_seen(ring, entry)
        underWay &-= 1
        return result
    }

    deinit {
        // The kernel forgets what it did not take, and is waited for about the rest.
        var left = underWay &- stagedCount
        var completed: UnsafeMutablePointer<io_uring_cqe>?
        while left > 0 {
            let waited = unsafe io_uring_wait_cqe(ring, &completed)
            if waited == -EINTR { continue }
            guard waited == 0, let entry = unsafe completed else { break }
            unsafe io_uring_cqe_seen(ring, entry)
            left &-= 1
        }
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
    }
}
