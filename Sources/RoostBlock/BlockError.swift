internal import RoostHypervisor
internal import RoostMemory
internal import RoostSystem
public import SystemPackage

/// A failure of a disk: of its storage, of its peer, or of a request.
public struct BlockError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong, for a caller to switch on.
    public enum Kind: Sendable, Equatable {
        /// An image cannot be opened, locked or used.
        case image
        /// Reading, writing, flushing or discarding failed in the storage.
        case storage
        /// A request is not one that the disk can do: past its end, misaligned, read-only.
        case request
        /// The disk does not offer the operation.
        case unsupported
        /// The other end broke the protocol; the device is out of use.
        case peer
        /// The two ends cannot agree, or the store lacks what they need.
        case handshake
        /// The system or the hypervisor refused memory, a grant, a channel or a thread.
        case system
        /// The device was closed.
        case closed
    }

    /// What went wrong.
    public let kind: Kind
    /// The first sector concerned, in units of 512 bytes, where one is.
    public let sector: UInt64?
    /// The system's reason, where the system refused.
    public let errno: Errno?
    /// One sentence: what was done to what, why it failed, what to do about it.
    public let description: String

    package init(
        _ kind: Kind, sector: UInt64? = nil, errno: Errno? = nil, _ description: String
    ) {
        self.kind = kind
        self.sector = sector
        self.errno = errno
        self.description = description
    }
}

extension BlockError {
    /// Runs what fails as the hypervisor does.
    ///
    /// - Throws: `BlockError` of kind `system`, with the same sentence.
    static func asking<Result: ~Copyable>(
        _ body: () throws(HypervisorError) -> Result
    ) throws(BlockError) -> Result {
        do throws(HypervisorError) {
            return try body()
        } catch {
            throw BlockError(.system, errno: error.errno, error.description)
        }
    }

    /// Asks the store, or the hypervisor in an asynchronous way.
    ///
    /// - Throws: `BlockError` of kind `handshake`, with the same sentence.
    static func askingStore<Result>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws(HypervisorError) -> Result
    ) async throws(BlockError) -> Result {
        do throws(HypervisorError) {
            return try await body()
        } catch {
            throw BlockError(.handshake, errno: error.errno, error.description)
        }
    }

    /// Runs blocking work on a thread of its own.
    static func onThread(
        _ name: String, _ body: @escaping @Sendable () throws(BlockError) -> Void
    ) async -> Result<Void, BlockError> {
        do throws(SystemError) {
            return try await DedicatedThread.result(name: name, body)
        } catch {
            return .failure(BlockError(.system, errno: error.errno, error.description))
        }
    }

    /// Makes event descriptors.
    ///
    /// - Throws: `BlockError` of kind `system`.
    static func makingEvents<Result: ~Copyable>(
        _ body: () throws(Errno) -> Result
    ) throws(BlockError) -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            throw BlockError(
                .system, errno: error, "cannot make an event descriptor: \(error); raise ulimit -n")
        }
    }

    /// Runs what fails for want of memory.
    ///
    /// - Throws: `BlockError` of kind `system`, with the same sentence.
    static func allocating<Result: ~Copyable>(
        _ body: () throws(MemoryError) -> Result
    ) throws(BlockError) -> Result {
        do throws(MemoryError) {
            return try body()
        } catch {
            throw BlockError(.system, errno: error.errno, error.description)
        }
    }
}

extension BlockError {
    /// Refuses a number that an option cannot be.
    ///
    /// - Parameters:
    ///   - what: What is counted.
    ///   - value: How many were asked for.
    ///   - allowed: How many there can be.
    /// - Throws: `BlockError` of kind `request`.
    static func check(
        _ what: String, _ value: Int, _ allowed: ClosedRange<Int>
    ) throws(BlockError) {
        guard allowed.contains(value) else {
            throw BlockError(
                .request,
                "cannot use \(value) as the number of \(what): give one from \(allowed.lowerBound) "
                    + "to \(allowed.upperBound)")
        }
    }
}
