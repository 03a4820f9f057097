import RoostMemory
import RoostSystem
import StreamSupport

@testable import RoostMigration

/// Something that threads wait for, once.
final class StopLatch: Sendable {
    private let pair: (StreamSocket, StreamSocket)?

    init() {
        pair = try? StreamSocket.pair()
    }

    func open() { pair?.0.shutdown(.both) }

    func wait() { _ = pair.flatMap { RelayRig.read($0.1) } }
}

/// What lies between the two relays: it copies both ways until it breaks.
final class RelayProxy: Sendable {
    private let near: StreamSocket
    private let far: StreamSocket
    private let fault: RelayRig.WireFault?

    init(near: StreamSocket, far: StreamSocket, fault: RelayRig.WireFault?) {
        self.near = near
        self.far = far
        self.fault = fault
    }

    func carryForward() -> Int {
        switch fault {
        case .cut(let forward, _): carry(near, far, cutAt: forward)
        case .cutBeforeEnd(let byteCount): carryFrames(cutBeforeEnd: byteCount)
        case .flip(let forward, _): carry(near, far, flipAt: forward)
        case .alterPage: carryFrames { Self.alterPage(&$0) }
        case nil: carry(near, far)
        }
    }

    func carryBack() -> Int {
        switch fault {
        case .cut(_, let back): carry(far, near, cutAt: back)
        case .flip(_, let back): carry(far, near, flipAt: back)
        case .cutBeforeEnd, .alterPage, nil: carry(far, near)
        }
    }

    /// Breaks the wire for good.
    func cut() {
        near.shutdown(.both)
        far.shutdown(.both)
    }

    /// Carries towards the receiver frame by frame, each when the next one is whole, so that the one
    /// before END can lose its last bytes; the greeting, which the receiver answers, goes at once.
    ///
    /// How many frames a move has hangs on how its bytes come, so only this finds a place by END.
    private func carryFrames(cutBeforeEnd byteCount: Int) -> Int {
        var input: [UInt8] = []
        var last: [UInt8] = []
        var position = 0
        func send(_ bytes: [UInt8]) {
            position += bytes.count
            try? far.send(unsafe bytes.span.bytes)
        }
        while let more = RelayRig.read(near) {
            input += more
            while input.count >= WireFormat.headByteCount {
                let length = Int(unsafe input.span.bytes.loadBigEndian(at: 4, as: UInt32.self))
                let whole = WireFormat.headByteCount + length
                guard input.count >= whole else { break }
                if input[0] == WireFormat.Kind.end.rawValue {
                    send(last.dropLast(byteCount))
                    cut()
                    return position
                }
                send(last)
                last = Array(input.prefix(whole))
                input.removeFirst(whole)
                guard position == 0, last[0] == WireFormat.Kind.hello.rawValue else { continue }
                send(last)
                last = []
            }
        }
        send(last + input)
        far.shutdown(.writing)
        return position
    }

    /// Carries towards the receiver frame by frame, each as it is made over.
    private func carryFrames(_ body: (inout [UInt8]) -> Void) -> Int {
        var input: [UInt8] = []
        var position = 0
        while let more = RelayRig.read(near) {
            input += more
            while input.count >= WireFormat.headByteCount {
                let length = Int(unsafe input.span.bytes.loadBigEndian(at: 4, as: UInt32.self))
                let whole = WireFormat.headByteCount + length
                guard input.count >= whole else { break }
                var frame = Array(input.prefix(whole))
                input.removeFirst(whole)
                body(&frame)
                position += frame.count
                guard (try? far.send(unsafe frame.span.bytes)) != nil else { return position }
            }
        }
        far.shutdown(.writing)
        return position
    }

    /// Turns a bit of the frame's first page over, where that is a whole one, and makes its checksum
    /// right.
    private static func alterPage(_ frame: inout [UInt8]) {
        let head = WireFormat.headByteCount
        guard frame[0] == WireFormat.Kind.pages.rawValue, frame.count > head + 200,
            frame[head + 7] & 0x0f == UInt8(WireFormat.PageCode.plain.rawValue)
        else { return }
        frame[head + WireFormat.recordHeadByteCount + 100] ^= 1
        frame.replaceSubrange(16..<20, with: [0, 0, 0, 0])
        let checksum = crc32(unsafe frame.span.bytes)
        frame.replaceSubrange(16..<20, with: StreamEdit.integer(checksum))
    }

    private func carry(
        _ from: StreamSocket, _ to: StreamSocket, cutAt: Int = .max, flipAt: Int = -1
    ) -> Int {
        var position = 0
        while position < cutAt {
            guard
                var bytes = RelayRig.read(from, limit: min(65_536, cutAt - position))
            else {
                // The end of one direction leaves the other.
                to.shutdown(.writing)
                return position
            }
            if (position..<position + bytes.count).contains(flipAt) {
                bytes[flipAt - position] ^= 0x10
            }
            position += bytes.count
            guard (try? to.send(unsafe bytes.span.bytes)) != nil else {
                from.shutdown(.reading)
                return position
            }
        }
        cut()
        return position
    }
}
