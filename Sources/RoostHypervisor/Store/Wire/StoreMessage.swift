/// What a message of the store asks or answers (`xs_wire.h`: `enum xsd_sockmsg_type`).
package enum StoreMessageType: UInt32, Sendable, CaseIterable {
    case directory = 1
    case read = 2
    case getPermissions = 3
    case watch = 4
    case unwatch = 5
    case beginTransaction = 6
    case endTransaction = 7
    case introduce = 8
    case release = 9
    case domainPath = 10
    case write = 11
    case makeDirectory = 12
    case remove = 13
    case setPermissions = 14
    case watchEvent = 15
    case error = 16
    case isDomainIntroduced = 17
    case resume = 18
    case setTarget = 19
    case resetWatches = 21
    case directoryPart = 22
}

/// The sizes that both ends of a connection to the store keep to.
package enum StoreWire {
    /// The bytes of a message's header (`xs_wire.h`: `struct xsd_sockmsg`).
    package static let headerByteCount = 16
    /// The most bytes behind a header (`xs_wire.h`: `XENSTORE_PAYLOAD_MAX`).
    package static let maximumPayloadByteCount = 4096
    /// The most bytes of a path from the root (`xs_wire.h`: `XENSTORE_ABS_PATH_MAX`).
    package static let maximumPathByteCount = 3072
    /// The most bytes of a path in a domain's own folder (`xs_wire.h`: `XENSTORE_REL_PATH_MAX`).
    package static let maximumRelativePathByteCount = 2048
}

/// A message of the store's protocol, in either direction.
///
///     0        4        8        12       16
///     type     req_id   tx_id    length   payload …       (all little-endian)
package struct StoreMessage: Hashable, Sendable {
    /// The type's number, which may be one that nobody has defined.
    package var typeNumber: UInt32
    /// What the sender of a request calls it; its answer repeats the number.
    package var requestID: UInt32
    /// The transaction's number; 0 is none.
    package var transactionID: UInt32
    /// At most 4,096 bytes.
    package var payload: [UInt8]

    /// The type, unless nobody has defined it.
    package var type: StoreMessageType? { StoreMessageType(rawValue: typeNumber) }

    package init(
        _ type: StoreMessageType, requestID: UInt32 = 0, transactionID: UInt32 = 0,
        payload: [UInt8] = []
    ) {
        self.init(
            typeNumber: type.rawValue, requestID: requestID, transactionID: transactionID,
            payload: payload)
    }

    package init(typeNumber: UInt32, requestID: UInt32, transactionID: UInt32, payload: [UInt8]) {
        self.typeNumber = typeNumber
        self.requestID = requestID
        self.transactionID = transactionID
        self.payload = payload
    }

    /// The bytes of header and payload together.
    package var byteCount: Int { StoreWire.headerByteCount + payload.count }

    /// Puts the message behind some bytes.
    ///
    /// - Precondition: The payload has at most 4,096 bytes.
    package func encode(into bytes: inout [UInt8]) {
        precondition(payload.count <= StoreWire.maximumPayloadByteCount)
        bytes.reserveCapacity(bytes.count + byteCount)
        for word in [typeNumber, requestID, transactionID, UInt32(payload.count)] {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        bytes.append(contentsOf: payload)
    }

    /// The message's bytes.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return bytes
    }
}

extension [UInt8] {
    /// Texts as the store's payloads have them: each with a NUL behind it.
    package init(terminated texts: String...) {
        self = []
        for text in texts {
            append(terminated: text)
        }
    }

    /// Puts a text and a NUL behind the bytes.
    package mutating func append(terminated text: String) {
        append(contentsOf: text.utf8)
        append(0)
    }

    /// The texts before each NUL; what follows the last NUL is left out.
    package var terminatedParts: [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var start = startIndex
        for (index, byte) in enumerated() where byte == 0 {
            parts.append(self[start..<index])
            start = index + 1
        }
        return parts
    }
}
