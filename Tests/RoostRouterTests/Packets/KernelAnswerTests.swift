import RoostMemory
import Testing

@testable import RoostRouter

/// What we answer to captured packets against what the kernel answered.
@Suite("Answers equal to the kernel's")
struct KernelAnswerTests {
    @Test("NET-13: an ARP reply equals the kernel's byte for byte")
    func arpReply() throws {
        let frames = try Capture("arp-ping").frames
        var compared = 0
        for (asked, answered) in zip(frames, frames.dropFirst()) {
            guard let request = try ParsedFrame(asked).arp, request.operation == .request,
                let reply = try ParsedFrame(answered).arp
            else { continue }
            let ours = answerBytes { output in
                request.reply(hardware: reply.senderHardware)
                    .writeFrame(to: request.senderHardware, into: &output)
            }
            #expect(ours == answered)
            let question = ARPPacket.request(
                for: request.targetAddress, from: request.senderAddress,
                hardware: request.senderHardware)
            #expect(answerBytes { question.writeFrame(to: .broadcast, into: &$0) } == asked)
            compared += 1
        }
        #expect(compared == 2)
    }

    private func answerBytes(_ write: (inout MutableRawSpan) -> Int) -> [UInt8] {
        var room = [UInt8](repeating: 0, count: 64)
        var count = 0
        room.withSpan { count = write(&$0) }
        return Array(room[..<count])
    }

    @Test(
        "NET-13: an echo reply equals the kernel's, flow label aside",
        arguments: [("arp-ping", 3), ("nd-ping6", 3), ("fragments-before", 1)])
    func echoReply(name: String, expected: Int) throws {
        let frames = try Capture(name).frames
        var compared = 0
        for (asked, answered) in zip(frames, frames.dropFirst()) {
            let request = try ParsedFrame(asked)
            let reply = try ParsedFrame(answered)
            let frame = unsafe asked.span.bytes
            guard let message = request.icmp, let answer = reply.icmp else { continue }
            if let header = request.ipv4, let theirs = reply.ipv4,
                message.type == ICMPMessage.Kind.echoRequest,
                answer.type == ICMPMessage.Kind.echoReply
            {
                let ours = answerFrame(to: request.link) {
                    message.writeEchoReply(
                        frame, header, from: header.destination,
                        identification: theirs.identification, into: &$0, at: $1)
                }
                #expect(ours == answered)
                compared += 1
            }
            if let header = request.ipv6, reply.ipv6 != nil,
                message.type == ICMPMessage.Kind6.echoRequest,
                answer.type == ICMPMessage.Kind6.echoReply
            {
                let ours = answerFrame(to: request.link) {
                    message.writeEchoReply(
                        frame, header, from: header.destination, into: &$0, at: $1)
                }
                #expect(
                    withoutRouterFields(ours, like: answered) == answered)
                compared += 1
            }
        }
        #expect(compared == expected)
    }

    /// Takes over what is the sender's choice (flow label) or was changed on the way (hop limit).
    private func withoutRouterFields(_ ours: [UInt8], like theirs: [UInt8]) -> [UInt8] {
        var ours = ours
        guard ours.count == theirs.count else { return ours }
        ours.replaceSubrange(15..<18, with: theirs[15..<18])
        ours[21] = theirs[21]
        return ours
    }

    @Test(
        "NET-13: an ICMP error equals the kernel's byte for byte",
        arguments: [("traceroute", 1), ("unreachable", 2), ("too-big", 1), ("redirect", 1)])
    func errors(name: String, expected: Int) throws {
        let frames = try Capture(name).frames
        let router = try #require(IPv4Address("192.0.2.254"))
        var compared = 0
        for theirs in frames {
            let parsed = try ParsedFrame(theirs)
            guard let header = parsed.ipv4, header.source == router, let message = parsed.icmp,
                ICMPMessage.isError(message.type)
            else { continue }
            let quoted = try IPv4Header(
                quotedIn: unsafe theirs.span.bytes, at: message.dataOffset)
            var original = try #require(
                frames.first { bytes in
                    let sent = try? ParsedFrame(bytes).ipv4
                    return sent?.identification == quoted.identification
                        && sent?.source == quoted.source
                })
            let sent = try ParsedFrame(original)
            let life = try #require(sent.ipv4)
            if quoted.timeToLive < life.timeToLive {
                original.withSpan { IPv4Header.decrementTimeToLive(&$0, at: life.offset) }
            }
            let error = ICMPError(type: message.type, code: message.code, rest: message.rest)
            let frame = unsafe original.span.bytes
            let about = try IPv4Header(frame, at: life.offset)
            let ours = answerFrame(to: sent.link) {
                error.write(
                    about: frame, about, from: router, identification: header.identification,
                    into: &$0, at: $1)
            }
            #expect(ours == theirs)
            compared += 1
        }
        #expect(compared == expected)
    }

    @Test(
        "NET-13: an ICMPv6 error equals the kernel's, flow label aside",
        arguments: [("traceroute", 1), ("unreachable", 3), ("too-big", 1)])
    func errors6(name: String, expected: Int) throws {
        let frames = try Capture(name).frames
        let router = try #require(IPv6Address("2001:db8:1::fe"))
        var compared = 0
        for theirs in frames {
            let parsed = try ParsedFrame(theirs)
            guard let header = parsed.ipv6, header.source == router, let message = parsed.icmp,
                message.type < 128
            else { continue }
            let quoted = try IPv6Header(
                quotedIn: unsafe theirs.span.bytes, at: message.dataOffset)
            var original = try #require(
                frames.first { bytes in
                    let sent = try? ParsedFrame(bytes).ipv6
                    return sent?.flowLabel == quoted.flowLabel
                        && sent?.destination == quoted.destination
                })
            let sent = try ParsedFrame(original)
            let life = try #require(sent.ipv6)
            if quoted.hopLimit < life.hopLimit {
                original.withSpan { IPv6Header.decrementHopLimit(&$0, at: life.offset) }
            }
            let error = ICMPv6Error(type: message.type, code: message.code, rest: message.rest)
            let frame = unsafe original.span.bytes
            let ours = answerFrame(to: sent.link) {
                error.write(about: frame, life, from: router, into: &$0, at: $1)
            }
            #expect(withoutRouterFields(ours, like: theirs) == theirs)
            compared += 1
        }
        #expect(compared == expected)
    }

    @Test("NET-13: messages of neighbour discovery equal the kernel's byte for byte")
    func neighbours() throws {
        var kinds: [NeighbourMessage.Kind: Int] = [:]
        for theirs in try Capture("nd-ping6").frames {
            let parsed = try ParsedFrame(theirs)
            guard let message = parsed.neighbour else { continue }
            let link = EthernetHeader(replying: parsed.link)
            let ours = answerFrame(to: link) { output, start in
                switch message.kind {
                case .solicitation:
                    NeighbourMessage.writeSolicitation(
                        for: message.target, from: message.source, hardware: parsed.link.source,
                        to: message.destination.isMulticast ? nil : message.destination,
                        into: &output, at: start)
                case .advertisement:
                    NeighbourMessage.writeAdvertisement(
                        of: message.target, hardware: message.targetLink,
                        to: message.destination, isOverride: message.isOverride,
                        isRouter: message.isRouter, into: &output, at: start)
                default: 0
                }
            }
            guard message.kind == .solicitation || message.kind == .advertisement else { continue }
            // The kernel answers from another address of its own about a link-local target.
            #expect(ours == theirs)
            kinds[message.kind, default: 0] += 1
            if message.destination.isMulticast {
                #expect(parsed.link.destination == MACAddress(group: message.destination))
            }
        }
        #expect((kinds[.solicitation] ?? 0) >= 4 && (kinds[.advertisement] ?? 0) >= 4)
    }

    @Test("NET-13: a redirect for IPv6 equals the kernel's byte for byte")
    func redirect6() throws {
        let frames = try Capture("redirect").frames
        let theirs = try #require(
            try frames.first { try ParsedFrame($0).neighbour?.kind == .redirect })
        let message = try #require(try ParsedFrame(theirs).neighbour)
        let original = try #require(
            try frames.first { try ParsedFrame($0).ipv6?.destination == message.redirected })
        let sent = try ParsedFrame(original)
        let header = try #require(sent.ipv6)
        let frame = unsafe original.span.bytes
        let ours = answerFrame(to: sent.link) {
            NeighbourMessage.writeRedirect(
                about: frame, header, to: message.target, targetLink: message.targetLink,
                from: message.source, into: &$0, at: $1)
        }
        #expect(ours == theirs)
        #expect(message.target == IPv6Address("fe80::fd"))
    }

    @Test("NET-13: fragments equal those of the kernel's router byte for byte")
    func fragments() throws {
        let sender = try #require(MACAddress("02:00:00:00:00:0a"))
        let router = try #require(MACAddress("02:00:00:00:02:fe"))
        let receiver = try #require(MACAddress("02:00:00:00:00:0b"))
        var ours: [[UInt8]] = []
        for frame in try Capture("fragments-before").frames {
            let parsed = try ParsedFrame(frame)
            guard let header = parsed.ipv4, parsed.link.source == sender else { continue }
            var frame = frame
            frame.withSpan {
                IPv4Header.decrementTimeToLive(&$0, at: header.offset)
                EthernetHeader.rewrite(&$0, destination: receiver, source: router)
            }
            guard header.totalByteCount > 1300 else {
                ours.append(frame)
                continue
            }
            let link = EthernetHeader(replying: try ParsedFrame(frame).link)
            var fragmenter = try #require(IPv4Fragmenter(header, mtu: 1300))
            let span = unsafe frame.span.bytes
            while true {
                var isOver = false
                let piece = answerFrame(to: link) {
                    let count = fragmenter.next(from: span, into: &$0, at: $1)
                    isOver = count == nil
                    return count ?? 0
                }
                guard !isOver else { break }
                ours.append(piece)
            }
        }
        let theirs = try Capture("fragments-behind").frames.filter {
            let parsed = try ParsedFrame($0)
            return parsed.ipv4 != nil && parsed.link.source == router
        }
        #expect(ours == theirs)
        #expect(ours.count > 10)
    }
}

extension EthernetHeader {
    /// The header with its ends exchanged.
    fileprivate init(replying link: EthernetHeader) {
        let bytes = answerFrame(to: link) { _, _ in 0 }
        // A frame of a header alone can always be read.
        guard let header = try? EthernetHeader(unsafe bytes.span.bytes) else {
            fatalError("a header that was written cannot be read")
        }
        self = header
    }
}
