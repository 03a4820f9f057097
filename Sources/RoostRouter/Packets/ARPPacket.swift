internal import RoostMemory

/// An ARP packet about Ethernet and IPv4 (RFC 826).
///
///     hardware 2 = 1 · protocol 2 = 0x0800 · lengths 1 = 6, 1 = 4 · operation 2
///     sender hardware 6 · sender address 4 · target hardware 6 · target address 4
struct ARPPacket: BitwiseCopyable, Equatable, Sendable {
    /// What is asked or answered.
    enum Operation: UInt16, Sendable {
        /// Who has the target address?
        case request = 1
        /// The sender has the sender's address.
        case reply = 2
    }

    /// How many bytes a packet has.
    static let byteCount = 28
    /// How many bytes a frame with one has, without padding.
    static let frameByteCount = EthernetHeader.byteCount + byteCount

    /// What is asked or answered.
    let operation: Operation
    /// The sender's link-layer address.
    let senderHardware: MACAddress
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227).
    let senderAddress: IPv4Address
    /// The target's link-layer address; zeros in a request.
    let targetHardware: MACAddress
    /// The address asked for, or that of whom it is answered to.
    let targetAddress: IPv4Address

    /// Reads a packet.
    ///
    /// - Throws: `PacketError` `truncated`, `addressFormat` or `operation`.
    init(_ frame: RawSpan, at offset: Int) throws(PacketError) {
        guard offset >= 0, offset <= frame.byteCount &- Self.byteCount else { throw .truncated }
        let words = frame.loadWords(at: offset, as: BigEndianWords<7>.self)
        guard words[0] == 0x0001_0800, words[1] >> 16 == 0x0604 else { throw .addressFormat }
        guard let operation = Operation(rawValue: UInt16(truncatingIfNeeded: words[1]))
        else { throw .operation }
        self.operation = operation
        senderHardware = MACAddress(rawValue: UInt64(words[2]) << 16 | UInt64(words[3] >> 16))
        senderAddress = IPv4Address(rawValue: words[3] << 16 | words[4] >> 16)
        targetHardware = MACAddress(rawValue: UInt64(words[4]) << 32 | UInt64(words[5]))
        targetAddress = IPv4Address(rawValue: words[6])
    }

    private init(
        _ operation: Operation, senderHardware: MACAddress, senderAddress: IPv4Address,
        targetHardware: MACAddress, targetAddress: IPv4Address
    ) {
        self.operation = operation
        self.senderHardware = senderHardware
        self.senderAddress = senderAddress
        self.targetHardware = targetHardware
        self.targetAddress = targetAddress
    }

    /// The question who has an address.
    static func request(
        for address: IPv4Address, from sender: IPv4Address, hardware: MACAddress
    ) -> ARPPacket {
        ARPPacket(
            .request, senderHardware: hardware, senderAddress: sender,
            targetHardware: MACAddress(rawValue: 0), targetAddress: address)
    }

    /// The answer to this request, that the address asked for is at a link-layer address.
    func reply(hardware: MACAddress) -> ARPPacket {
        ARPPacket(
            .reply, senderHardware: hardware, senderAddress: targetAddress,
            targetHardware: senderHardware, targetAddress: senderAddress)
    }

    /// Writes a frame with the packet.
    ///
    /// - Parameters:
    ///   - destination: Whom the frame is for: all for a request, or who is asked again.
    ///   - output: The room, at least ``frameByteCount``.
    /// - Returns: ``frameByteCount``.
    func writeFrame(to destination: MACAddress, into output: inout MutableRawSpan) -> Int {
        EthernetHeader.write(
            destination: destination, source: senderHardware, etherType: EtherType.arp,
            into: &output)
        let start = EthernetHeader.byteCount
        output.storeBigEndian(0x0001_0800_0604 << 16 | UInt64(operation.rawValue), at: start)
        output.storeBigEndian(
            senderHardware.rawValue << 16 | UInt64(senderAddress.rawValue >> 16), at: start + 8)
        output.storeBigEndian(UInt16(truncatingIfNeeded: senderAddress.rawValue), at: start + 16)
        output.storeBigEndian(
            targetHardware.rawValue << 16 | UInt64(targetAddress.rawValue >> 16), at: start + 18)
        output.storeBigEndian(UInt16(truncatingIfNeeded: targetAddress.rawValue), at: start + 26)
        return Self.frameByteCount
    }
}
