import RoostHypervisor
import SystemPackage
import Testing
import TestSupport

/// The store's messages as bytes.
struct WireTests {
    @Test("A header is four little-endian words")
    func header() {
        let message = StoreMessage(
            .write, requestID: 0x0102_0304, transactionID: 5, payload: [9, 8])
        let expected: [UInt8] = [11, 0, 0, 0, 4, 3, 2, 1, 5, 0, 0, 0, 2, 0, 0, 0, 9, 8]
        #expect(message.encoded == expected)
    }

    @Test("Messages are read from bytes in any pieces", arguments: 0..<32 as Range<UInt64>)
    func anyPieces(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let sizes =
            [0, 1, 4095, 4096] + (0..<6).map { _ in Int.random(in: 0...300, using: &random) }
        let messages = sizes.map { size in
            StoreMessage(
                typeNumber: UInt32.random(in: 0...40, using: &random),
                requestID: UInt32.random(in: 0...UInt32.max, using: &random),
                transactionID: UInt32.random(in: 0...UInt32.max, using: &random),
                payload: (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
        var bytes: [UInt8] = []
        for message in messages {
            message.encode(into: &bytes)
        }
        var reader = StoreMessageReader()
        var found: [StoreMessage] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...700, using: &random))
            rest = rest.dropFirst(piece.count)
            reader.append(Array(piece))
            while let message = try reader.next() {
                found.append(message)
            }
        }
        #expect(found == messages)
        #expect(reader.bufferedByteCount == 0)
    }

    @Test("A payload of 4,097 bytes is refused as soon as its header is there")
    func tooLong() {
        var reader = StoreMessageReader()
        var header = StoreMessage(.read).encoded
        header[12] = 0x01
        header[13] = 0x10
        reader.append(header)
        var refused: UInt32?
        do throws(StoreMessageReader.TooLong) {
            _ = try reader.next()
        } catch {
            refused = error.byteCount
        }
        #expect(refused == 4097)
    }

    @Test("Every name of an error is its reason's, and back")
    func errorNames() {
        let names = [
            "EINVAL", "EACCES", "EEXIST", "EISDIR", "ENOENT", "ENOMEM", "ENOSPC", "EIO",
            "ENOTEMPTY", "ENOSYS", "EROFS", "EBUSY", "EAGAIN", "EISCONN", "E2BIG", "EPERM",
        ]
        for name in names {
            #expect(StoreErrorName.name(of: StoreErrorName.reason(named: name)) == name)
        }
        #expect(Set(names.map(StoreErrorName.reason(named:))).count == names.count)
        #expect(StoreErrorName.reason(named: "EWHAT") == .ioError)
        #expect(StoreErrorName.name(of: .badFileDescriptor) == "EINVAL")
    }

    @Test("Permissions are written and read as xenstore does")
    func permissions() {
        let permissions = StorePermissions(
            owner: DomainID(rawValue: 4), others: .read,
            listed: [.init(.both, DomainID(rawValue: 0)), .init(.write, DomainID(rawValue: 9))])
        #expect(permissions.payload == [UInt8](terminated: "r4", "b0", "w9"))
        #expect(StorePermissions(parts: permissions.payload.terminatedParts) == permissions)
    }
}
