internal import RoostMemory

extension IPv4Header {
    /// The time to live of what the router itself sends (RFC 1700, "IP TIME TO LIVE PARAMETER").
    static let defaultTimeToLive: UInt8 = 64

    /// Writes a header without options, with its checksum.
    ///
    /// Header and payload together have at most 65,535 bytes; flags and fragment offset are one word
    /// as in the header.
    ///
    /// - Precondition: 20 bytes fit at the offset.
    static func write(
        source: IPv4Address, destination: IPv4Address, protocolNumber: UInt8,
        typeOfService: UInt8 = 0, totalByteCount: Int, identification: UInt16 = 0,
        fragment: UInt16 = 0, timeToLive: UInt8 = defaultTimeToLive,
        into output: inout MutableRawSpan, at offset: Int
    ) {
        let length = UInt16(truncatingIfNeeded: totalByteCount)
        output.storeBigEndian(
            0x4500_0000 | UInt32(typeOfService) << 16 | UInt32(length), at: offset)
        output.storeBigEndian(UInt32(identification) << 16 | UInt32(fragment), at: offset + 4)
        output.storeBigEndian(
            UInt32(timeToLive) << 24 | UInt32(protocolNumber) << 16, at: offset + 8)
        output.storeBigEndian(source.rawValue, at: offset + 12)
        output.storeBigEndian(destination.rawValue, at: offset + 16)
        finishChecksum(&output, at: offset, headerByteCount: minimumByteCount)
    }

    /// Computes a header's checksum anew and puts it in.
    ///
    /// - Precondition: The header lies at the offset.
    static func finishChecksum(
        _ output: inout MutableRawSpan, at offset: Int, headerByteCount: Int
    ) {
        output.storeBigEndian(UInt16(0), at: offset + 10)
        let sum = output.bytes.extracting(offset..<offset + headerByteCount).onesComplementSum
        output.storeBigEndian(~sum, at: offset + 10)
    }
}
