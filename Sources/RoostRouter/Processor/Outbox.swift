internal import RoostMemory

/// What the processor sends itself: solicitations, answers, packets that waited for a neighbour.
///
/// Every frame goes out at once. What a neighbour's failure leaves to be reported is kept, for the
/// processor to report when it is done with the neighbours.
struct Outbox: ~Copyable {
    /// A packet whose next hop does not answer.
    struct Report {
        let namespace: NamespaceIndex
        /// The entry that it went by; nobody holds it for the packet any more.
        let destination: DestinationID?
    }

    let view: RouterView
    let directory: PortDirectory
    /// Whose counters of ports are written: one past the workers'.
    let worker: Int
    /// The ports by index, as the processor knows them.
    var ports: [PortEntry?] = []
    private var frames: FrameBatch
    /// Frames that could not go, until they are reported; nil while they are.
    private var failed: FrameBatch?
    /// Of each of them what failed.
    private(set) var reports: [Report] = []

    /// Makes an empty outbox.
    init(
        view: RouterView, directory: PortDirectory, worker: Int, frameLimit: Int
    ) throws(RouterError) {
        let purpose = "the processor's frames"
        let frames = try FrameBatch.making(frameLimit: frameLimit, for: purpose)
        let failed = try FrameBatch.making(frameLimit: frameLimit, for: purpose)
        self.view = view
        self.directory = directory
        self.worker = worker
        self.frames = frames
        self.failed = consume failed
    }

    /// A port that is open.
    func port(_ index: PortIndex) -> PortEntry? {
        Int(index.rawValue) < ports.count ? ports[Int(index.rawValue)] : nil
    }

    /// Sends a frame whose link header lacks its addresses.
    mutating func send(_ frame: RawSpan, to link: MACAddress, by index: PortIndex) {
        guard let entry = port(index) else { return }
        guard let slot = frames.append(frame) else { return }
        do {
            var copy = frames.mutableFrame(slot)
            EthernetHeader.rewrite(&copy, destination: link, source: entry.mac)
        }
        flush(to: index)
    }

    /// Sends an ARP packet.
    mutating func send(_ packet: ARPPacket, to link: MACAddress, by entry: PortEntry) {
        guard let slot = frames.appendSlot(byteCount: ARPPacket.frameByteCount) else { return }
        do {
            var frame = frames.mutableFrame(slot)
            _ = packet.writeFrame(to: link, into: &frame)
        }
        flush(to: entry.index)
    }

    /// Sends a message of neighbour discovery.
    ///
    /// - Parameters:
    ///   - link: Where to.
    ///   - entry: By which port.
    ///   - write: Writes the packet behind the Ethernet header, and answers how long it is.
    mutating func sendDiscovery(
        to link: MACAddress, by entry: PortEntry,
        _ write: (inout MutableRawSpan, _ offset: Int) -> Int
    ) {
        let offset = EthernetHeader.byteCount
        let room = offset + NeighbourMessage.maximumByteCount
        guard let slot = frames.appendSlot(byteCount: room) else { return }
        let length: Int
        do {
            var frame = frames.mutableFrame(slot)
            EthernetHeader.write(
                destination: link, source: entry.mac, etherType: EtherType.ipv6, into: &frame)
            length = offset + write(&frame, offset)
        }
        frames.setByteCount(length, of: slot)
        flush(to: entry.index)
    }

    private mutating func flush(to index: PortIndex) {
        if let port = directory.port(index) {
            let state = port.transmit(frames.slots, of: frames, worker: worker)
            if state == .down { directory.noteLink(index, isUp: false) }
        }
        frames.removeAll()
    }

    /// Whether packets wait to be reported.
    var hasReports: Bool { !reports.isEmpty }

    /// Takes the frames that are to be reported; what fails meanwhile is not.
    mutating func takeFailed() -> FrameBatch? { failed.take() }

    /// Gives back the frames that are reported.
    mutating func giveBack(_ batch: consuming FrameBatch) {
        batch.removeAll()
        reports.removeAll(keepingCapacity: true)
        failed = consume batch
    }

    /// Lets the destination go that a packet held while it waited, and answers which it was.
    @discardableResult
    private func release(_ context: UInt64) -> DestinationID? {
        guard context != 0 else { return nil }
        let token = HolderToken(rawValue: UInt32(truncatingIfNeeded: context))
        let reference = view.destinations.reference(of: token)
        let destination = view.destinations.id(of: reference.handle)
        view.destinations.release(reference)
        return destination
    }
}

extension Outbox: NeighbourSink {
    mutating func solicit(_ key: NeighbourKey, to link: MACAddress?) {
        guard let entry = port(key.port) else { return }
        switch key.family {
        case .ipv4:
            let target = key.ipv4
            guard let source = entry.source(towards: target) else { return }
            send(
                .request(for: target, from: source, hardware: entry.mac), to: link ?? .broadcast,
                by: entry)
        case .ipv6:
            let target = key.ipv6
            let source = entry.source(towards: target)
            let group = MACAddress(group: target.solicitedNodeGroup)
            sendDiscovery(to: link ?? group, by: entry) { frame, offset in
                NeighbourMessage.writeSolicitation(
                    for: target, from: source, hardware: entry.mac,
                    to: link == nil ? nil : target, into: &frame, at: offset)
            }
        }
    }

    mutating func transmit(
        _ frame: RawSpan, context: UInt64, to key: NeighbourKey, link: MACAddress
    ) {
        send(frame, to: link, by: key.port)
        release(context)
    }

    mutating func unreachable(_ frame: RawSpan, context: UInt64, to key: NeighbourKey) {
        let destination = release(context)
        guard let entry = port(key.port), failed?.append(frame) != nil else { return }
        reports.append(Report(namespace: entry.namespace, destination: destination))
    }

    mutating func dropped(_ context: UInt64, reason: NeighbourDrop) {
        release(context)
    }
}
