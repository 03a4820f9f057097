import RoostHypervisor
import RoostMemory

@testable import RoostBlock

/// A frontend's queue and a scripted backend, in two domains of a hypervisor of their own.
struct FrontendRig: ~Copyable {
    typealias Queue = FrontendQueue<EmbeddedGrantAllocator, EmbeddedEventChannel>

    let machine: DiskMachine
    let guest: EmbeddedDomain
    let host: EmbeddedDomain
    let arena: BufferArena
    var queue: Queue
    var backend: ScriptedBackend

    static func make(
        _ change: (inout FrontendOptions) -> Void = { _ in },
        features: FrontendFeatures? = FrontendRig.features()
    ) throws -> FrontendRig {
        var options = FrontendOptions()
        change(&options)
        try options.check()
        let machine = try DiskMachine()
        let guest = try machine.domain("guest")
        let host = try machine.domain("host")
        let layout = try layout(options)
        let arena = try BufferArena()
        var queue = try Queue.make(
            options, arena: arena.window,
            allocator: try guest.makeAllocator(
                for: host.id, pageLimit: layout.pageCount + options.grants(layout)),
            channel: try guest.allocateUnbound(for: host.id))
        let published = queue.published
        let backend = try ScriptedBackend.attach(
            host, to: guest.id, layout: layout, references: published.ringReferences,
            port: published.port)
        if let features { queue.connect(features) }
        return FrontendRig(
            machine: machine, guest: guest, host: host, arena: arena, queue: queue,
            backend: backend)
    }

    static func layout(_ options: FrontendOptions) throws -> RingLayout {
        guard let layout = RingLayout(options.blockProtocol, pageOrder: options.ringPageOrder)
        else { throw BlockError(.request, "no such ring") }
        return layout
    }

    private init(
        machine: DiskMachine, guest: EmbeddedDomain, host: EmbeddedDomain, arena: BufferArena,
        queue: consuming Queue, backend: consuming ScriptedBackend
    ) {
        self.machine = machine
        self.guest = guest
        self.host = host
        self.arena = arena
        self.queue = queue
        self.backend = backend
    }

    /// A backend that offers all there is.
    static func features(
        indirectSegmentLimit: Int = 256, isPersistent: Bool = true
    ) -> FrontendFeatures {
        FrontendFeatures(
            geometry: DiskGeometry(
                sectorCount: UInt64(ScriptedBackend.diskByteCount / sectorByteCount)),
            indirectSegmentLimit: indirectSegmentLimit, canWriteBarriers: true,
            canDiscardSecurely: true, isPersistent: isPersistent)
    }

    func buffer(_ byteCount: Int) throws -> BlockBuffer {
        try BlockBuffer(in: arena, byteCount: byteCount)
    }

    /// Hands a request to the queue, and the queue's to the ring.
    mutating func submit(
        _ operation: DiskOperation, sector: UInt64 = 0, byteCount: Int = 0,
        slices: [BlockBufferSlice] = [], token: UInt64 = 0
    ) {
        let total = slices.isEmpty ? byteCount : slices.reduce(0) { $0 + $1.range.count }
        queue.submit(
            Submission(
                operation: operation, sector: sector, byteCount: UInt64(total), token: token,
                pieces: slices.map(\.piece)))
        queue.issue()
    }

    /// Lets both ends work until nothing moves any more.
    ///
    /// - Returns: What has ended, in order.
    mutating func run() -> [DiskCompletion] {
        var ended: [DiskCompletion] = []
        while true {
            let served = backend.serve()
            queue.takeResponses()
            var found = 0
            while let completion = queue.takeCompletion() {
                ended.append(completion)
                found += 1
            }
            queue.issue()
            if served == 0, found == 0 { return ended }
        }
    }
}

extension BlockBuffer {
    /// Replaces some of its bytes.
    func store(_ bytes: [UInt8], at start: Int) {
        withMutableBytes(start..<start + bytes.count) { span in
            for (offset, byte) in bytes.enumerated() {
                span.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            }
        }
    }

    /// A copy of some of its bytes.
    func load(_ range: Range<Int>) -> [UInt8] {
        withBytes(range) { [UInt8]($0) }
    }
}
