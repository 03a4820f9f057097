package import SystemPackage

/// A message between a domain and the embedded hypervisor: 64 bytes, little-endian.
///
///      0  u32  operation
///      4  u32  request: the domain's number for it, which the answer repeats; 0 wants no answer
///      8  u32  status of an answer: 0 or an errno
///     12  u32  whether another message of the same answer follows
///     16  u32  words, four, whose meaning the operation gives
///     32       text, zero bytes behind it
///
/// An answer brings at most one descriptor a message (SCM_RIGHTS).
package struct ControlMessage: Equatable, Sendable {
    /// What is asked, and in brackets what an answer's words say and the descriptors that come.
    package enum Operation: UInt32, Sendable, CaseIterable {
        /// version, domain wanted or 0, 1 for a privileged store; text: name
        /// [domain; store, then the domain's page]
        case hello = 1
        /// peer, page count [segment, first reference; file]
        case makeSegment = 2
        /// segment
        case dropSegment = 3
        /// granter, the last segment known or 0 [segment, first reference, page count; file]
        case nextSegment = 4
        /// peer [port; own event, then the peer's]
        case allocateUnbound = 5
        /// peer, its port [port; own event, then the peer's]
        case bind = 6
        /// port
        case closePort = 7
    }

    /// The protocol's version, which both ends have to share: they are one program.
    package static let version: UInt32 = 1
    /// A message's length.
    package static let byteCount = 64
    /// The longest text, a domain's name.
    package static let textByteCount = 32

    package var operation: UInt32
    package var request: UInt32
    package var status: UInt32 = 0
    package var hasMore = false
    package var words: [4 of UInt32] = [0, 0, 0, 0]
    package var text = ""

    /// Makes a request.
    package init(
        _ operation: Operation, request: UInt32 = 0, _ first: UInt32 = 0, _ second: UInt32 = 0,
        text: String = ""
    ) {
        self.operation = operation.rawValue
        self.request = request
        words[0] = first
        words[1] = second
        self.text = text
    }

    /// Makes an answer to a request.
    package init(answering message: ControlMessage, status: Errno? = nil) {
        operation = message.operation
        request = message.request
        self.status = UInt32(bitPattern: status?.rawValue ?? 0)
    }

    /// Reads a message; any 64 bytes are one, and their sender's fault.
    ///
    /// - Precondition: There are ``byteCount`` bytes.
    package init(_ bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount)
        operation = Self.word(0, of: bytes)
        request = Self.word(4, of: bytes)
        status = Self.word(8, of: bytes)
        hasMore = Self.word(12, of: bytes) != 0
        for index in 0..<4 { words[index] = Self.word(16 + 4 * index, of: bytes) }
        text = String(decoding: bytes[32...].prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The message as it is sent; a longer text is cut.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for word in [operation, request, status, hasMore ? 1 : 0] { Self.append(word, to: &bytes) }
        for index in 0..<4 { Self.append(words[index], to: &bytes) }
        bytes += text.utf8.prefix(Self.textByteCount)
        bytes += [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
        return bytes
    }

    /// Why it was refused, or `nil`.
    package var failure: Errno? {
        status == 0 ? nil : Errno(rawValue: Int32(truncatingIfNeeded: status))
    }

    private static func append(_ word: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }

    private static func word(_ offset: Int, of bytes: [UInt8]) -> UInt32 {
        (0..<4).reduce(0) { word, index in
            word | UInt32(bytes[offset + index]) << UInt32(8 * index)
        }
    }

    package static func == (left: ControlMessage, right: ControlMessage) -> Bool {
        left.bytes == right.bytes
    }
}
