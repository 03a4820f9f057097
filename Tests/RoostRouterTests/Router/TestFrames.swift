import RoostMemory

@testable import RoostRouter

/// Frames as hosts behind a router would send them.
enum TestFrames {
    /// A UDP packet with a payload of zeros; its checksum is left out, which IPv4 allows.
    static func udp(
        from source: String, to destination: String, host: Int, port: Int, payload: Int = 18,
        timeToLive: UInt8 = 64, dontFragment: Bool = false, sourcePort: UInt16 = 4_000
    ) -> [UInt8] {
        guard let source = IPv4Address(source), let destination = IPv4Address(destination) else {
            return []
        }
        let length = IPv4Header.minimumByteCount + 8 + payload
        var bytes = frame(EtherType.ipv4, host: host, port: port, byteCount: length)
        bytes.withSpan { output in
            let start = EthernetHeader.byteCount
            IPv4Header.write(
                source: source, destination: destination, protocolNumber: IPProtocol.udp,
                totalByteCount: length, fragment: dontFragment ? IPv4Header.dontFragmentBit : 0,
                timeToLive: timeToLive, into: &output, at: start)
            output.storeBigEndian(UInt32(sourcePort) << 16 | 9, at: start + 20)
            output.storeBigEndian(UInt32(8 + payload) << 16, at: start + 24)
        }
        return bytes
    }

    /// A UDP packet over IPv6; its checksum is not looked at by routers.
    static func udp6(
        from source: String, to destination: String, host: Int, port: Int, payload: Int = 18,
        hopLimit: UInt8 = 64
    ) -> [UInt8] {
        guard let source = IPv6Address(source), let destination = IPv6Address(destination) else {
            return []
        }
        let length = IPv6Header.byteCount + 8 + payload
        var bytes = frame(EtherType.ipv6, host: host, port: port, byteCount: length)
        bytes.withSpan { output in
            let start = EthernetHeader.byteCount
            IPv6Header.write(
                source: source, destination: destination, nextHeader: IPProtocol.udp,
                payloadByteCount: 8 + payload, hopLimit: hopLimit, into: &output, at: start)
            output.storeBigEndian(UInt32(4_000) << 16 | 9, at: start + 40)
            output.storeBigEndian(UInt32(8 + payload) << 16 | 1, at: start + 44)
        }
        return bytes
    }

    /// An echo request.
    static func echo(from source: String, to destination: String, host: Int, port: Int) -> [UInt8] {
        guard let source = IPv4Address(source), let destination = IPv4Address(destination) else {
            return []
        }
        let length = IPv4Header.minimumByteCount + 16
        var bytes = frame(EtherType.ipv4, host: host, port: port, byteCount: length)
        bytes.withSpan { output in
            let start = EthernetHeader.byteCount
            IPv4Header.write(
                source: source, destination: destination, protocolNumber: IPProtocol.icmp,
                totalByteCount: length, into: &output, at: start)
            output.storeBigEndian(UInt32(ICMPMessage.Kind.echoRequest) << 24, at: start + 20)
            output.storeBigEndian(UInt32(0x1234_0001), at: start + 24)
            ICMPMessage.finishChecksum(&output, at: start + 20, byteCount: 16)
        }
        return bytes
    }

    /// An ARP answer of a host to the router.
    static func arpReply(of address: String, host: Int, to question: ARPPacket) -> [UInt8] {
        let mac = RouterRig.mac(ofHost: host)
        var bytes = [UInt8](repeating: 0, count: ARPPacket.frameByteCount)
        bytes.withSpan { output in
            _ = question.reply(hardware: mac).writeFrame(
                to: question.senderHardware, into: &output)
        }
        return bytes
    }

    /// An ARP question of a host about an address of the router.
    static func arpRequest(for address: String, from sender: String, host: Int) -> [UInt8] {
        guard let address = IPv4Address(address), let sender = IPv4Address(sender) else {
            return []
        }
        var bytes = [UInt8](repeating: 0, count: ARPPacket.frameByteCount)
        bytes.withSpan { output in
            _ = ARPPacket.request(
                for: address, from: sender, hardware: RouterRig.mac(ofHost: host)
            ).writeFrame(to: .broadcast, into: &output)
        }
        return bytes
    }

    /// A host's answer to a neighbour solicitation of the router.
    static func advertisement(of address: String, host: Int, port: Int, to asker: IPv6Address)
        -> [UInt8]
    {
        guard let address = IPv6Address(address) else { return [] }
        var bytes = frame(
            EtherType.ipv6, host: host, port: port, byteCount: NeighbourMessage.maximumByteCount)
        var length = 0
        bytes.withSpan { output in
            length = NeighbourMessage.writeAdvertisement(
                of: address, hardware: RouterRig.mac(ofHost: host), to: asker, isOverride: true,
                isRouter: false, into: &output, at: EthernetHeader.byteCount)
        }
        return Array(bytes.prefix(EthernetHeader.byteCount + length))
    }

    private static func frame(
        _ etherType: UInt16, host: Int, port: Int, byteCount: Int
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: EthernetHeader.byteCount + byteCount)
        bytes.withSpan { output in
            EthernetHeader.write(
                destination: RouterRig.mac(ofPort: port), source: RouterRig.mac(ofHost: host),
                etherType: etherType, into: &output)
        }
        return bytes
    }
}
