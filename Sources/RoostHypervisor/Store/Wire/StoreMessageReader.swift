internal import RoostMemory

/// Puts messages of the store together from bytes that come in any pieces.
package struct StoreMessageReader: Sendable {
    /// The sender wants a payload longer than any may be, so where its next message begins is lost.
    package struct TooLong: Error, Equatable, Sendable {
        /// How many bytes the header announced.
        package let byteCount: UInt32
    }

    private var bytes: [UInt8] = []
    private var start = 0

    package init() {}

    /// How many bytes wait for the rest of their message.
    package var bufferedByteCount: Int { bytes.count - start }

    /// Takes what has arrived; ``next()`` is then called until it answers `nil`.
    package mutating func append(_ arrived: RawSpan) {
        append([UInt8](arrived))
    }

    /// Takes what has arrived, out of an array.
    package mutating func append(_ arrived: [UInt8]) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes.append(contentsOf: arrived)
    }

    /// The next message, if all of it has arrived.
    ///
    /// - Throws: When the message is longer than the protocol allows; the connection is to be
    ///   ended then.
    package mutating func next() throws(TooLong) -> StoreMessage? {
        guard bufferedByteCount >= StoreWire.headerByteCount else { return nil }
        let announced = word(3)
        guard announced <= UInt32(StoreWire.maximumPayloadByteCount) else {
            throw TooLong(byteCount: announced)
        }
        let payloadStart = start + StoreWire.headerByteCount
        let end = payloadStart + Int(announced)
        guard bytes.count >= end else { return nil }
        let message = StoreMessage(
            typeNumber: word(0), requestID: word(1), transactionID: word(2),
            payload: Array(bytes[payloadStart..<end]))
        start = end
        return message
    }

    /// A word of the header that begins at `start`.
    private func word(_ index: Int) -> UInt32 {
        var value: UInt32 = 0
        for byte in (0..<4).reversed() {
            value = value << 8 | UInt32(bytes[start + index * 4 + byte])
        }
        return value
    }
}
