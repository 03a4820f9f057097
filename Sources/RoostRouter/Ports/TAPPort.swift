internal import RoostMemory
internal import RoostSystem
internal import SystemPackage

/// A TAP interface (Linux, Documentation/networking/tuntap.rst): the router has one end of the cable,
/// the kernel of a network namespace the other.
///
/// The interface is there as long as the port is. One read or write moves one frame. What the kernel
/// has no room for, it drops by itself and counts at its interface; what the router sends while the
/// interface is down is refused, and counted here.
final class TAPPort: FramePort {
    private let owned: OwnedDescriptor
    /// The interface's name in its network namespace.
    let interface: String
    /// The link-layer address of the host's side; the router's own is another.
    let hostAddress: MACAddress
    /// The longest payload of a frame, in bytes.
    let mtu: Int
    /// See ``FramePort/counters``.
    let counters: PortCounters

    /// See ``FramePort/descriptor``.
    var descriptor: FileDescriptor? { owned.descriptor }

    init(
        _ owned: consuming OwnedDescriptor, interface: String, hostAddress: MACAddress, mtu: Int,
        workerCount: Int
    ) throws(RouterError) {
        counters = try PortCounters(workerCount: workerCount)
        self.owned = owned
        self.interface = interface
        self.hostAddress = hostAddress
        self.mtu = mtu
    }

    /// See ``FramePort/setCarrier(_:)``: the kernel's side has a carrier accordingly.
    func setCarrier(_ isUp: Bool) throws(RouterError) {
        try TAPInterface.setCarrier(isUp, of: owned.descriptor, interface: interface)
    }

    /// See ``FramePort/receive(into:worker:)``.
    func receive(into batch: inout FrameBatch, worker: Int) -> PortState {
        let limit = min(mtu + FrameLength.longestHeader, batch.frameLimit)
        let before = batch.count
        var bytes = 0
        var tooShort = 0
        var tooLong = 0
        var state = PortState.ready
        // Frames that are dropped count too, so that a flood of them cannot keep the worker here.
        for _ in 0..<FrameBatch.capacity where !batch.isFull {
            var room = batch.nextRoom()
            let result = room.readFrame(from: owned.descriptor)
            guard result >= 0 else {
                state = Self.state(after: Errno(rawValue: CInt(-result)))
                if state == .ready && result != Self.nothingThere {
                    counters.add(1, to: .receiveFailed, worker: worker)
                }
                break
            }
            if result < FrameLength.header {
                tooShort += 1
            } else if result > limit {
                tooLong += 1
            } else if batch.appendSlot(byteCount: result) != nil {
                bytes += result
            }
        }
        counters.add(batch.count - before, to: .receivedFrames, worker: worker)
        counters.add(bytes, to: .receivedBytes, worker: worker)
        counters.add(tooShort, to: .receiveTooShort, worker: worker)
        counters.add(tooLong, to: .receiveTooLong, worker: worker)
        return state
    }

    /// See ``FramePort/transmit(_:of:worker:)``.
    func transmit(_ slots: SlotSet, of batch: borrowing FrameBatch, worker: Int) -> PortState {
        var frames = 0
        var bytes = 0
        var state = PortState.ready
        var rest = slots
        while let slot = rest.popFirst() {
            let length = batch.byteCount(of: slot)
            guard length <= mtu + FrameLength.longestHeader else {
                counters.add(1, to: .transmitTooLong, worker: worker)
                continue
            }
            let result = batch.frame(slot).writeFrame(to: owned.descriptor)
            guard result < 0 else {
                frames += 1
                bytes += length
                continue
            }
            let reason = Errno(rawValue: CInt(-result))
            state = Self.state(after: reason)
            counters.add(1, to: Self.counter(of: reason), worker: worker)
        }
        counters.add(frames, to: .sentFrames, worker: worker)
        counters.add(bytes, to: .sentBytes, worker: worker)
        return state
    }

    /// What read(2) answers when no frame has arrived: a negated EAGAIN.
    private static let nothingThere = -Int(Errno.resourceTemporarilyUnavailable.rawValue)

    /// How the port is after a refusal.
    ///
    /// Linux, drivers/net/tun.c: EIO while the interface is down,
    /// EBADFD once it was deleted.
    private static func state(after reason: Errno) -> PortState {
        switch reason {
        case .ioError: .down
        case .badFileDescriptorState, .badFileDescriptor, .noSuchAddressOrDevice: .gone
        default: .ready
        }
    }

    private static func counter(of reason: Errno) -> PortCounter {
        switch state(after: reason) {
        case .down, .gone: .transmitDown
        case .ready:
            switch reason {
            case .resourceTemporarilyUnavailable, .noBufferSpace, .noMemory: .transmitQueueFull
            default: .transmitFailed
            }
        }
    }
}

extension Errno {
    /// EBADFD, which Errno does not name.
    fileprivate static var badFileDescriptorState: Errno { Errno(rawValue: 77) }
}
