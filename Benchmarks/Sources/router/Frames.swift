import Foundation
@_spi(Benchmarks) import RoostRouter

/// How long the measured frames are: the shortest of Ethernet.
let frameByteCount = 60

/// A UDP packet of 46 bytes in a frame, from 10.0.1.2 and to an address that can be changed.
struct PacketFrame {
    private(set) var bytes: [UInt8]
    private let sum: UInt32

    /// A frame for the router's port.
    init(forPort number: Int) {
        bytes = networkBytes(InMemoryRouter.mac(ofPort: number), 6)
        bytes += networkBytes(0x0200_0000_0900 + UInt64(number), 6) + [0x08, 0x00]
        // Version and length, total length, identification, don't fragment, time to live, UDP, checksum.
        bytes += [0x45, 0, 0, 46, 0x12, 0x34, 0x40, 0, 64, 17, 0, 0, 10, 0, 1, 2, 0, 0, 0, 0]
        // Ports, length, no checksum.
        bytes += [0xC0, 0x01, 0, 53, 0, 26, 0, 0]
        bytes += [UInt8](repeating: 0x5A, count: frameByteCount - bytes.count)
        sum = stride(from: 14, to: 34, by: 2).reduce(UInt32(0)) { [bytes] sum, place in
            sum + UInt32(bytes[place]) << 8 + UInt32(bytes[place + 1])
        }
    }

    /// The frame's bytes with a destination.
    func write(to address: IPv4Address, into target: inout [UInt8], at start: Int) {
        for place in 0..<frameByteCount { target[start + place] = bytes[place] }
        var sum = sum + address.rawValue >> 16 + address.rawValue & 0xFFFF
        while sum > 0xFFFF { sum = sum >> 16 + sum & 0xFFFF }
        let checksum = ~sum
        target[start + 24] = UInt8(truncatingIfNeeded: checksum >> 8)
        target[start + 25] = UInt8(truncatingIfNeeded: checksum)
        for place in 0..<4 {
            target[start + 30 + place] = UInt8(
                truncatingIfNeeded: address.rawValue >> UInt32(24 - 8 * place))
        }
    }

    /// The frame for an address.
    func frame(to address: IPv4Address) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: frameByteCount)
        write(to: address, into: &target, at: 0)
        return target
    }
}

/// The link-layer address that a host with an address has.
func hostMAC(_ address: IPv4Address) -> UInt64 {
    0x0200_0001_0000 | UInt64(address.rawValue & 0xFFFF)
}

private func networkBytes(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
}

extension InMemoryRouter {
    /// Answers the router's ARP questions behind a port.
    ///
    /// - Parameters:
    ///   - number: The port's.
    ///   - isThere: Whether there is a host with an address.
    /// - Returns: How many frames came that are no ARP.
    mutating func answer(
        atHost number: Int, where isThere: (IPv4Address) -> Bool = { _ in true }
    ) -> Int {
        var others = 0
        while true {
            let frames = takeFrames(atHost: number)
            guard !frames.isEmpty else { return others }
            var answers: [[UInt8]] = []
            for frame in frames {
                guard frame[12] == 0x08, frame[13] == 0x06 else {
                    others += 1
                    continue
                }
                let target = frame[38..<42].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                let address = IPv4Address(rawValue: target)
                guard frame[21] == 1, isThere(address) else { continue }
                answers.append(reply(to: frame, by: address))
            }
            send(answers, fromHost: number)
        }
    }

    /// The answer to an ARP question.
    private func reply(to frame: [UInt8], by address: IPv4Address) -> [UInt8] {
        let mac = networkBytes(hostMAC(address), 6)
        var reply = Array(frame[6..<12])
        reply += mac
        reply += frame[12..<20]
        // Operation 2; who answers, and who asked.
        reply += [0, 2]
        reply += mac
        reply += frame[38..<42]
        reply += frame[22..<32]
        return reply
    }

    /// Lets worker and processor work until nothing is left.
    mutating func work(ports: Range<Int>) {
        var isMore = true
        while isMore {
            for port in ports { receive(fromPort: port) }
            isMore = takeTurn()
        }
    }

    /// Lets the router learn neighbours behind port 1: it asks for each when a packet comes.
    mutating func resolve(_ addresses: [IPv4Address], by frame: PacketFrame) {
        for address in addresses {
            send([frame.frame(to: address)], fromHost: 0)
            work(ports: 0..<2)
            _ = answer(atHost: 1)
            work(ports: 0..<2)
            _ = answer(atHost: 1)
            // A port asks no more than 100 times a second.
            now += 10
        }
    }
}

/// A port in memory with one address.
func port(_ name: String, _ address: String) -> PortConfiguration {
    var port = PortConfiguration(name: name, kind: .tap(device: name, networkNamespace: nil))
    port.addresses = [InterfaceAddress(address)].compactMap { $0 }
    return port
}

/// A clock in nanoseconds.
func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    // SAFETY: the address of a local for the time of the call.
    _ = unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
