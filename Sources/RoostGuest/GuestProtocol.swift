internal import RoostMemory
package import RoostSystem
package import SystemPackage

/// What a guest process and the host that moves it say to each other over the guest's unix socket.
///
/// The host connects. The guest sends messages, all of one size, so that each is received with the
/// descriptor that belongs to it (unix(7), SCM_RIGHTS); numbers are big-endian:
///
///      0         1         2              3        4              8              16
///      ┌─────────┬─────────┬──────────────┬────────┬──────────────┬──────────────┬──────────────┐
///      │ kind    │ request │ name length  │ 0      │ version, or  │ process, or  │ flags, or    │
///      │         │         │              │        │ errno        │ base address │ byte count   │
///      ├─────────┴─────────┴──────────────┴────────┴──────────────┴──────────────┴──────────────┤
///   24 │ name, 256 bytes, zeros behind it                                                       │
///      └────────────────────────────────────────────────────────────────────────────────────────┘
///
///     guest                                            host
///       │ hello: version, process, flags; its pagemap    │
///       ├───────────────────────────────────────────────▶│
///       │ block: base address, byte count, name; its     │
///       │ memory file; once for each                     │
///       ├───────────────────────────────────────────────▶│
///       │ complete                                       │
///       ├───────────────────────────────────────────────▶│
///       │                           request, one byte    │
///       │◀───────────────────────────────────────────────┤
///       │ answer: request, errno; a userfaultfd          │
///       ├───────────────────────────────────────────────▶│
///       │ block, at any time after complete              │
///       ├───────────────────────────────────────────────▶│
///
/// The guest keeps no copy of the userfaultfd: what it protects ends when the host closes it, dies
/// or loses its way, so there is no request to end tracking and nothing the guest must do then.
package enum GuestProtocol {
    /// Raised when either end could misunderstand the other.
    package static let version: UInt32 = 1
    /// The size of every message of the guest.
    package static let messageByteCount = 24 + nameByteCount
    static let nameByteCount = 256
    /// The longest name of a block, as QEMU's streams have it.
    package static let maximumNameByteCount = 255
    /// The most blocks of a guest, as a ceiling for both ends' tables.
    package static let maximumBlockCount = 1024

    /// What a host may ask for: one byte.
    package enum Request: UInt8, Sendable {
        /// A userfaultfd that remembers writes: the guest never waits.
        case trackAsynchronously = 0x61
        /// A userfaultfd that reports writes: the guest waits for an answer to each.
        case trackSynchronously = 0x73
        /// The guest's memory has arrived: it may begin to run.
        case arrived = 0x72
    }
}

/// A message of a guest, without the descriptor that comes with it.
package enum GuestMessage: Sendable, Equatable {
    /// Who it is; its pagemap comes with it.
    case hello(version: UInt32, processID: UInt64, awaitsArrival: Bool)
    /// A block; its memory file comes with it.
    case block(name: String, baseAddress: UInt64, byteCount: UInt64)
    /// Every block there is so far has been sent.
    case complete
    /// What came of a request; a userfaultfd comes with it, where that was asked for and granted.
    case answer(GuestProtocol.Request, failure: Errno?)

    private enum Kind {
        static let hello: UInt8 = 1
        static let block: UInt8 = 2
        static let complete: UInt8 = 3
        static let answer: UInt8 = 4
    }

    /// The message's bytes.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(GuestProtocol.messageByteCount)
        switch self {
        case .hello(let version, let processID, let awaitsArrival):
            bytes += [Kind.hello, 0, 0, 0]
            bytes.append(bigEndian: version)
            bytes.append(bigEndian: processID)
            bytes.append(bigEndian: UInt64(awaitsArrival ? 1 : 0))
        case .block(let name, let baseAddress, let byteCount):
            let name = name.utf8.prefix(GuestProtocol.maximumNameByteCount)
            bytes += [Kind.block, 0, UInt8(name.count), 0]
            bytes.append(bigEndian: UInt32(0))
            bytes.append(bigEndian: baseAddress)
            bytes.append(bigEndian: byteCount)
            bytes += name
        case .complete:
            bytes += [Kind.complete]
        case .answer(let request, let failure):
            bytes += [Kind.answer, request.rawValue, 0, 0]
            bytes.append(bigEndian: UInt32(bitPattern: failure?.rawValue ?? 0))
        }
        bytes += [UInt8](
            repeating: 0, count: GuestProtocol.messageByteCount - bytes.count)
        return bytes
    }

    /// Reads a message; `nil` when it is none.
    ///
    /// - Parameter bytes: The message's bytes.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == GuestProtocol.messageByteCount else { return nil }
        let small = bytes.loadBigEndian(at: 4, as: UInt32.self)
        let first = bytes.loadBigEndian(at: 8, as: UInt64.self)
        let second = bytes.loadBigEndian(at: 16, as: UInt64.self)
        switch bytes.loadBigEndian(at: 0, as: UInt8.self) {
        case Kind.hello:
            self = .hello(version: small, processID: first, awaitsArrival: second & 1 != 0)
        case Kind.block:
            let length = Int(bytes.loadBigEndian(at: 2, as: UInt8.self))
            let name = String(bytes, from: 24, count: length)
            guard !name.isEmpty, name.utf8.count == length else { return nil }
            self = .block(name: name, baseAddress: first, byteCount: second)
        case Kind.complete:
            self = .complete
        case Kind.answer:
            let request = bytes.loadBigEndian(at: 1, as: UInt8.self)
            guard let request = GuestProtocol.Request(rawValue: request) else { return nil }
            let failure = Int32(bitPattern: small)
            self = .answer(request, failure: failure == 0 ? nil : Errno(rawValue: failure))
        default:
            return nil
        }
    }

    /// Sends the message.
    ///
    /// - Parameters:
    ///   - socket: Where to.
    ///   - passed: The descriptor that goes with it.
    /// - Throws: `SystemError` of kind `transfer`.
    package func send(
        to socket: StreamSocket, passing passed: FileDescriptor? = nil
    ) throws(SystemError) {
        let bytes = bytes
        // SAFETY: bytes are plain values.
        try socket.send(unsafe bytes.span.bytes, passing: passed)
    }

    /// Receives a message and the descriptor that comes with it, waiting for it.
    ///
    /// - Parameter socket: Where from.
    /// - Returns: The message, or `nil` at the end of the connection.
    /// - Throws: `SystemError` of kind `transfer`, also for what is no message.
    package static func receive(
        from socket: StreamSocket
    ) throws(SystemError) -> ReceivedMessage? {
        var bytes: [UInt8] = []
        var passed: OwnedDescriptor?
        while bytes.count < GuestProtocol.messageByteCount {
            var piece = [UInt8](
                repeating: 0, count: GuestProtocol.messageByteCount - bytes.count)
            var span = piece.mutableSpan
            // SAFETY: bytes are plain values.
            var target = unsafe span.mutableBytes
            var received = try socket.receive(into: &target)
            let count = received.byteCount
            if count == 0 {
                guard !bytes.isEmpty else { return nil }
                throw SystemError(.transfer, "the guest ended in the middle of a message")
            }
            let descriptor = received.passed.take()
            if descriptor != nil { passed = consume descriptor }
            bytes += piece[..<count]
        }
        // SAFETY: as above.
        guard let message = GuestMessage(unsafe bytes.span.bytes) else {
            throw SystemError(
                .transfer,
                "what came is no message of a guest: connect to a process that uses "
                    + "RoostGuest of the same version")
        }
        return ReceivedMessage(message: message, passed: passed.take())
    }
}

/// A message as it was received.
package struct ReceivedMessage: ~Copyable, Sendable {
    /// The message.
    package let message: GuestMessage
    /// The descriptor that came with it; `take()` it to keep it.
    package var passed: OwnedDescriptor?
}

extension [UInt8] {
    fileprivate mutating func append<Value: FixedWidthInteger>(bigEndian value: Value) {
        for shift in stride(from: Value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }
}
